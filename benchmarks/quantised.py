"""What 8 bits gain on a CPU, and what they cost: accuracy, verdicts, trust.

    python -m benchmarks.quantised ../shared/data

Each shipped engine in ONNX Runtime, on validation samples that it was not trained on, under the
shipped policy: as it ships, quantised dynamically, and statically, calibrated on 256 training
samples. CPU time per row is the median over single rows. Equal verdicts have the same emotion and
are trusted or not alike.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from onnxruntime.quantization import QuantType, quantize_dynamic
from rich.console import Console
from rich.table import Table

from benchmarks.processes import existing, machine
from engines.engine import BUNDLES, Engine, open_engine, tensor
from engines.job import Job
from engines.labels import EMOTIONS
from engines.manifest import MODEL, Modality
from engines.precision import WEIGHED, folded, rewritten, taken_apart
from engines.runtime import Batch, stacked
from engines.runtime.onnx import OnnxCpu
from engines.verdict import Policy, Verdict, open_policy
from train.data import CORPORA
from train.data.samples import Samples
from train.prepare import judged, window

CALIBRATED_ON = 256
TIMED = 200
CORPUS_OF: dict[Modality, str] = {"face": "ferplus", "voice": "ravdess", "text": "goemotions"}


@dataclass(frozen=True, slots=True)
class Figures:
    """One form of an engine on a corpus."""

    ms: float
    accuracy: float
    verdicts: list[Verdict]

    @property
    def trusted(self) -> float:
        """The share of verdicts that are trusted."""
        return float(np.mean([verdict.trusted for verdict in self.verdicts]))


def main() -> None:
    """Print the table."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("data", type=existing, help="the folder of corpora")
    data = asked.parse_args().data
    names = ("CPU ms per row", "accuracy", "equal verdicts", "trusted", "trusted precision")
    table = Table("", "n", *names)
    for kind, name in CORPUS_OF.items():
        engine, corpus = open_engine(BUNDLES / kind), CORPORA[name]
        policy = open_policy(BUNDLES / "policy", {kind: engine.hash})
        samples = corpus.read(data, "valid")
        plain: Figures | None = None
        for form, variant in _forms(engine, corpus.read(data, "train")):
            found = _figures(variant, policy, samples)
            plain = plain or found
            table.add_row(f"{kind}, {form}", *_row(found, plain, samples))
    Console(width=120).print(table)
    print(f"{machine()}, one thread")


def _forms(engine: Engine, training: Samples) -> Iterator[tuple[str, Engine]]:
    yield "as shipped", engine
    shape, kind = engine.manifest.input.shape, engine.manifest.kind
    with tempfile.TemporaryDirectory() as made:
        path = Path(made) / MODEL
        whole, body = taken_apart(folded(engine.path / MODEL))
        del whole.graph.value_info[:]  # the quantiser turns matrices over
        chosen = [n.name for n in whole.graph.node if n.name in body and n.op_type in WEIGHED]
        quantize_dynamic(
            whole, path, nodes_to_quantize=chosen, per_channel=True, weight_type=QuantType.QUInt8
        )
        yield "int8 dynamic", replace(engine, runtime=OnnxCpu(path, shape))
        random = np.random.default_rng(0)
        few = training.take(random.permutation(len(training.inputs))[:CALIBRATED_ON])
        rows: Batch = stacked([tensor(window(kind, item)) for item in few.inputs])
        path.write_bytes(rewritten(Job(engine.path, shape, "int8", 1, None, Path(made), rows)))
        yield "int8 static", replace(engine, runtime=OnnxCpu(path, shape))


def _figures(engine: Engine, policy: Policy, samples: Samples) -> Figures:
    kind, verdicts = engine.manifest.kind, []
    for item in samples.inputs:
        opinion, quality = judged(engine, item)
        verdicts.append(policy.judge({kind: opinion}, {kind: quality}).verdict)
    truth = samples.targets.argmax(axis=1)
    right = [v.emotion == EMOTIONS[t] for v, t in zip(verdicts, truth, strict=True)]
    return Figures(_ms(engine, samples), float(np.mean(right)), verdicts)


def _ms(engine: Engine, samples: Samples) -> float:
    taken = []
    for item in samples.inputs[:TIMED]:
        row = tensor(window(engine.manifest.kind, item))[:1]
        began = time.process_time()
        engine.runtime(row)
        taken.append((time.process_time() - began) * 1e3)
    return statistics.median(taken)


def _row(found: Figures, plain: Figures, samples: Samples) -> list[str]:
    truth = samples.targets.argmax(axis=1)
    pairs = zip(found.verdicts, plain.verdicts, strict=True)
    equal = np.mean([(a.emotion, a.trusted) == (b.emotion, b.trusted) for a, b in pairs])
    trusted = [
        v.emotion == EMOTIONS[t] for v, t in zip(found.verdicts, truth, strict=True) if v.trusted
    ]
    return [
        f"{len(truth):,}",
        f"{found.ms:.2f}",
        f"{found.accuracy:.3f}",
        f"{equal:.2%}",
        f"{found.trusted:.3f}",
        f"{np.mean(trusted):.3f}" if trusted else "-",
    ]


if __name__ == "__main__":
    main()
