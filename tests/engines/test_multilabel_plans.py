"""Plans of a multilabel engine: used only if probabilities, spreads and shown emotions agree."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest

from engines.build import build
from engines.engine import engine_manifest, open_engine
from engines.errors import CredenceError
from engines.job import Job, Precision
from engines.manifest import MODEL, MultilabelManifest
from engines.parity import INPUTS, TOLERANCE, Parity, apart, compare, inputs_for, reference_of
from engines.precision import rewritten
from engines.runtime import LABELLED, Batch, Outputs
from engines.runtime.guarded import Guarded
from engines.runtime.onnx import OnnxCpu
from engines.verdict import UNCERTIFIED
from tests.engines.bundle import PARTS, write_multilabel

pytestmark = pytest.mark.usefixtures("cache")

needs_torch = pytest.mark.skipif(not find_spec("torch"), reason="torch is not installed")
needs_openvino = pytest.mark.skipif(not find_spec("openvino"), reason="openvino is not installed")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_multilabel(tmp_path / "tiny")


class Moved:
    """A runtime whose probabilities are moved, and whose spreads are scaled."""

    name = "moved"
    batches = False

    def __init__(self, bundle: Path, by: float = 0.0, scale: float = 1.0) -> None:
        self._good = open_engine(bundle, "multilabel").runtime
        self._by, self._scale = np.float32(by), np.float32(scale)

    def __call__(self, batch: Batch) -> Outputs:
        made = self._good(batch)
        moved = np.clip(made["probability"] + self._by, 0, 1)
        return {**made, "probability": moved, "spread": made["spread"] * self._scale}


def compared(bundle: Path, fast: Moved, precision: Precision = "fp32") -> Parity:
    manifest, _ = engine_manifest(bundle, "multilabel")
    inputs = inputs_for(reference_of(bundle).inputs, parts=PARTS)
    portable = open_engine(bundle, "multilabel").runtime
    return compare(fast, portable, inputs, precision, manifest=manifest, policy=UNCERTIFIED, most=8)


def test_what_says_the_same_is_accepted(bundle: Path) -> None:
    parity = compared(bundle, Moved(bundle))
    assert (parity.refusal, parity.inputs, parity.equal) == ("", INPUTS, 1.0)
    assert (parity.largest_difference, parity.policy) == (0.0, "none")


@pytest.mark.parametrize(
    ("by", "scale", "said"),
    [
        (2e-3, 1.0, "its opinions differ by up to 0.002 from ONNX Runtime's, more than 0.001"),
        (0.0, 1.01, "its opinions differ by up to 0.01 from ONNX Runtime's"),
        (0.0, float("nan"), "its opinions differ by up to nan"),
        (0.0, -1.0, "its opinions differ by up to nan"),
    ],
)
def test_other_probabilities_and_spreads_are_refused(
    bundle: Path, by: float, scale: float, said: str
) -> None:
    assert compared(bundle, Moved(bundle, by, scale)).refusal.startswith(said)


def test_other_sets_of_shown_emotions_are_refused(bundle: Path) -> None:
    parity = compared(bundle, Moved(bundle, 9e-3), "fp16")
    assert parity.largest_difference < parity.tolerance
    assert 0.5 < parity.equal < 0.999
    assert "of its verdicts are ONNX Runtime's" in parity.refusal


def test_spreads_have_no_scale() -> None:
    one, other = np.array([[0.5, 0.2]], np.float32), np.array([[0.5, 0.3]], np.float32)
    for scale in (1e-3, 1.0, 1e3):
        found, expected = (
            {"probability": one, "spread": spread * np.float32(scale)} for spread in (one, other)
        )
        assert apart(found, expected) == pytest.approx(0.2)


def test_variations_keep_padding_and_absent_modalities(bundle: Path) -> None:
    reference = reference_of(bundle).inputs
    varied = inputs_for(reference, parts=PARTS)
    assert (varied.shape, varied.dtype) == ((INPUTS, *reference.shape[1:]), reference.dtype)
    np.testing.assert_array_equal(varied, inputs_for(reference, parts=PARTS))
    start = 0
    for part in PARTS.values():
        rows = varied[:, start : start + part.length]
        assert not np.count_nonzero(rows[:, :, part.width :])
        there = (rows != 0).any(axis=2)
        assert (there[:, :-1] >= there[:, 1:]).all()  # padding is at the end
        assert set(there.sum(axis=1)) == set(range(part.length + 1))
        assert 0.2 < (~there.any(axis=1)).mean() < 0.3
        start += part.length
    assert len(np.unique(varied.reshape(INPUTS, -1), axis=0)) > INPUTS * 0.97


@needs_openvino
def test_openvino_is_built_compared_and_used(bundle: Path) -> None:
    manifest, digest = engine_manifest(bundle, "multilabel")
    plan = build(bundle, digest, manifest, "openvino", "fp32")
    assert (plan.key.kind, plan.key.policy, plan.refused) == ("multilabel", "none", "")
    assert plan.parity is not None
    assert plan.parity.largest_difference < 1e-4
    opened = open_engine(bundle, "multilabel", "cpu")
    assert (opened.runtime.name, opened.lacking) == ("openvino cpu fp32", False)
    inputs = inputs_for(reference_of(bundle).inputs, parts=PARTS)[:40]
    expected = open_engine(bundle, "multilabel").runtime(inputs)
    assert apart(opened.runtime(inputs), expected) < 1e-4


@needs_torch
@pytest.mark.timeout(60)
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_torch_gives_its_outputs_by_name(precision: Precision, tmp_path: Path) -> None:
    import torch
    from torch import Tensor, nn

    from engines.runtime import cuda

    class Tiny(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = nn.Linear(18 * 5, 4), nn.Linear(4, 7)

        def forward(self, sequences: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            there = sequences.flatten(1) != 0  # (B, 90), for body and head
            masked = sequences.flatten(1).masked_fill(~there, 0)  # (B, 90)
            embedding = self.body(masked).relu()  # (B, 4)
            scores = self.head(embedding)  # (B, 7)
            spread = torch.where(there[:, :1], scores.exp(), torch.ones_like(scores))
            return scores.sigmoid(), spread, embedding

    network = Tiny().eval()
    rows = torch.randn(5, 18, 5, generator=torch.Generator().manual_seed(0))
    batch = {0: torch.export.Dim("B")}
    program = torch.export.export(network, (rows[:2],), dynamic_shapes=(batch,))
    torch.export.save(program, tmp_path / "program.pt2")
    job = Job(tmp_path, (None, 18, 5), precision, 4, None, tmp_path, given=LABELLED)
    with torch.inference_mode():
        made = dict(zip(LABELLED, (out.numpy() for out in network(rows)), strict=True))
    found = cuda.load(job)(rows.numpy())
    assert apart(found, made) < TOLERANCE[precision]
    assert found["embedding"].shape == (5, 4)


def test_half_precision_ends_at_the_embedding(bundle: Path, tmp_path: Path) -> None:
    job = Job(bundle, (None, 18, 5), "fp16", 4, None, tmp_path, given=LABELLED)
    (tmp_path / MODEL).write_bytes(rewritten(job))
    half, single = (OnnxCpu(at / MODEL, job.shape, job.given) for at in (tmp_path, bundle))
    inputs = inputs_for(reference_of(bundle).inputs, parts=PARTS)[:100]
    assert 0 < apart(half(inputs), single(inputs)) < TOLERANCE["fp16"]
    halves = {
        str(w.name)
        for w in onnx.load(tmp_path / MODEL).graph.initializer
        if w.data_type == onnx.TensorProto.FLOAT16
    }
    assert halves == {"to_embedding_half"}


def test_a_fast_runtime_that_gives_nonsense_is_given_up(bundle: Path) -> None:
    told: list[str] = []
    portable = open_engine(bundle, "multilabel").runtime
    guarded = Guarded(Moved(bundle, scale=-1.0), portable, told.append)
    made = guarded(reference_of(bundle).inputs)
    assert (made["spread"] >= 0).all()
    assert "it gives nonsense" in told[0]


def test_int8_has_nothing_to_be_calibrated_on(bundle: Path) -> None:
    manifest, digest = engine_manifest(bundle, "multilabel")
    assert isinstance(manifest, MultilabelManifest)
    with pytest.raises(CredenceError, match="no files hold a multilabel engine's"):
        build(bundle, digest, manifest, "openvino", "int8")


def cli(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "engines.cli", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@needs_openvino
def test_cli_lists_builds_and_verifies(bundle: Path, cache: Path) -> None:
    assert "multilabel" in cli("list", bundle.parent).stdout
    done = cli("build", bundle, "--target", "openvino")
    assert done.returncode == 0, done.stderr
    assert "building the multilabel engine for openvino fp32" in done.stderr
    assert str(cache / "multilabel-openvino-fp32-") in done.stdout
    said = cli("verify", bundle, "--device", "cpu").stdout.splitlines()
    assert said[0].startswith("tiny ")
    assert said[0].endswith("of its reference on 5 inputs")
    assert said[1].startswith("tiny: runs on openvino cpu fp32 (100.00% of verdicts equal")


def test_cli_refuses_data_in_one_sentence(bundle: Path) -> None:
    done = cli("build", bundle, "--target", "openvino", "--data", bundle.parent)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith(
        "no files hold what a multilabel engine is given; leave --data out\n"
    )
