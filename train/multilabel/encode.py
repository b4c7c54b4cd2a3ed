"""What the encoders make of many samples and their corruptions, kept outside the repository."""

import hashlib
import io
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import platformdirs
from rich.console import Console
from rich.progress import track

from engines.engine import Engine, answered, tensor
from engines.manifest import Modality
from engines.opinion import Opinion
from engines.preprocess import sequence
from engines.quality import MEASURES, measure
from train.multilabel.shown import Shown
from train.multilabel.spoil import Version, windowed
from train.robustness import corruption
from train.run import make, write
from train.views import CLEAN, Look, stacked

Floats = npt.NDArray[np.float32]

LENGTHS: Final[dict[Modality, int]] = {"face": 8, "voice": 20, "text": 32}
"""The most rows that LDDU is given of each modality; longer sequences are averaged down."""


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """P windows of one modality as their encoder has them, in the order of their versions."""

    sequences: Floats
    """(P, T, D), a row of zeros is padding."""
    embedding: Floats
    """(P, E) mean over the encoder's rows."""
    look: Look
    """(P,) what it believes, and the quality of its input."""


def encode(
    engine: Engine, shown: Shown, asked: Sequence[Version], data: Path, name: str
) -> Encoded:
    """Let an engine see versions of samples, or read what it saw before from the user's cache.

    Progress goes to standard error. The cache knows a result by all that it depends on.
    """
    path = _cache() / f"{shown.kind}-{_digest(engine, shown, asked)}.npz"
    if not path.exists():
        content = io.BytesIO()
        np.savez(
            content, allow_pickle=False, **_unpacked(_encode(engine, shown, asked, data, name))
        )
        make(path.parent)
        write(path, content.getvalue())
    with np.load(path) as file:
        return _packed(shown.kind, dict(file))


def _encode(
    engine: Engine, shown: Shown, asked: Sequence[Version], data: Path, name: str
) -> Encoded:
    specs = {version.spec for version in asked} - {CLEAN}
    known = {spec: corruption(spec, data) for spec in specs}
    sequences, embeddings, judged = [], [], []
    for version in track(asked, f"{shown.kind} {name}", console=Console(stderr=True)):
        seen = windowed(shown.kind, shown.inputs[version.sample], version, known)
        (made,) = engine.run([tensor(seen)])
        answer = answered(made)
        rows = sequence.shortened(answer.sequence, LENGTHS[shown.kind])
        sequences.append(np.pad(rows, ((0, LENGTHS[shown.kind] - len(rows)), (0, 0))))
        embeddings.append(made["embedding"].mean(axis=0))
        judged.append((answer.opinion, measure(seen)))
    return Encoded(np.stack(sequences), np.stack(embeddings), stacked(shown.kind, judged))


def _unpacked(encoded: Encoded) -> dict[str, npt.NDArray[np.float32] | npt.NDArray[np.float64]]:
    opinion = encoded.look.opinion
    return {
        "sequences": encoded.sequences,
        "embedding": encoded.embedding,
        "belief": opinion.belief,
        "uncertainty": opinion.uncertainty,
        **encoded.look.quality,
    }


def _packed(kind: Modality, arrays: dict[str, npt.NDArray[np.float32]]) -> Encoded:
    opinion = Opinion(arrays["belief"].astype(np.float64), arrays["uncertainty"].astype(np.float64))
    quality = {name: arrays[name].astype(np.float64) for name in MEASURES[kind]}
    return Encoded(arrays["sequences"], arrays["embedding"], Look(opinion, quality))


def _digest(engine: Engine, shown: Shown, asked: Sequence[Version]) -> str:
    whole = hashlib.sha256(f"{engine.hash} {sequence.VERSION} {LENGTHS}".encode())
    for item in itertools.chain(shown.inputs, map(repr, asked)):
        whole.update(item.encode() if isinstance(item, str) else item.tobytes())
    return whole.hexdigest()[:16]


def _cache() -> Path:
    return platformdirs.user_cache_path("credence") / "sequences"
