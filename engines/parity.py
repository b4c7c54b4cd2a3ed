"""Does a plan say what the portable engine says? Opinions within a tolerance, verdicts equal."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Final
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from engines.job import Precision
from engines.manifest import REFERENCE, BrokenBundleError, Modality
from engines.opinion import Opinion
from engines.preprocess.text import BUCKETS, PIECES, WORDS
from engines.runtime import Batch, Outputs, Runtime, stacked
from engines.verdict import Policy

INPUTS: Final = 1024
"""Compared at least: the reference inputs and variations of them. One verdict may differ."""
EQUAL: Final = 0.999
"""The least share of equal verdicts: the same emotion, and trusted or not alike."""
TOLERANCE: Final[dict[Precision, float]] = {"fp32": 1e-3, "fp16": 1e-2, "int8": 5e-2}
"""Largest difference of a belief or an uncertainty."""

_SEED: Final = 0


class Parity(BaseModel):
    """How far a plan agrees with the portable engine."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    inputs: int
    largest_difference: float
    """Of a belief or an uncertainty."""
    tolerance: float
    equal: float
    """The share of equal verdicts."""
    policy: str
    """The hash of the policy that gave the verdicts; `none` gives emotions only."""

    @property
    def refusal(self) -> str:
        """Why it must not be used; empty where it may."""
        if not self.largest_difference <= self.tolerance:  # a NaN is refused, too
            return (
                f"its opinions differ by up to {self.largest_difference:.2g}"
                f" from ONNX Runtime's, more than {self.tolerance:g}"
            )
        if self.equal < EQUAL:
            return (
                f"only {self.equal:.2%} of its verdicts are ONNX Runtime's, less than {EQUAL:.1%}"
            )
        return ""

    def __str__(self) -> str:
        return (
            f"{self.equal:.2%} of verdicts equal on {self.inputs:,} inputs,"
            f" opinions within {self.largest_difference:.1e}"
        )


def compare(
    fast: Runtime,
    portable: Runtime,
    inputs: Batch,
    precision: Precision,
    *,
    kind: Modality,
    policy: Policy,
    most: int,
) -> Parity:
    """Judge ``inputs`` (N, ...) by both, in parts of 1 to ``most`` + 1 rows."""
    ends = np.random.default_rng(_SEED).integers(1, most + 2, len(inputs)).cumsum()
    starts = [0, *(int(end) for end in ends if end < len(inputs))]
    parts = [inputs[a:b] for a, b in pairwise([*starts, len(inputs)])]
    found, expected = _judge(fast, parts), _judge(portable, parts)
    difference = max(
        float(np.abs(found.belief - expected.belief).max()),
        float(np.abs(found.uncertainty - expected.uncertainty).max()),
    )
    verdicts = [_verdicts(policy, kind, opinions) for opinions in (found, expected)]
    equal = np.mean([a == b for a, b in zip(*verdicts, strict=True)])
    return Parity(
        inputs=len(inputs),
        largest_difference=difference,
        tolerance=TOLERANCE[precision],
        equal=float(equal),
        policy=policy.hash,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """What a bundle says of itself: some inputs, and what its network made of them at export."""

    inputs: Batch
    """(n, ...)"""
    evidence: npt.NDArray[np.float32]
    """(n, K)"""


def reference_of(folder: Path) -> Reference:
    """Read the reference of the bundle in a folder; raise BrokenBundleError."""
    try:
        with np.load(BytesIO((folder / REFERENCE).read_bytes())) as reference:
            return Reference(reference["inputs"], reference["evidence"])
    except (OSError, EOFError, KeyError, ValueError, TypeError, BadZipFile, zlib.error) as error:
        # What NumPy says is for programmers: to load it unsafely.
        raise BrokenBundleError(
            folder, f"{REFERENCE} is damaged; copy the bundle again, or export it again"
        ) from error


def inputs_for(reference: Batch, data: Batch | None = None) -> Batch:
    """Return what is compared: the reference (n, ...), variations of it, and ``data``."""
    missing = max(INPUTS - len(reference), 0)
    if np.issubdtype(reference.dtype, np.integer):
        varied: Batch = _vary_words(reference.astype(np.int64), missing)
    else:
        varied = _vary_pictures(reference.astype(np.float32), missing)
    return stacked([reference, varied, *([] if data is None else [data])])


def _judge(run: Callable[[Batch], Outputs], parts: list[Batch]) -> Opinion:
    evidence = np.concatenate([run(part)["evidence"] for part in parts])
    try:
        return Opinion.from_evidence(evidence)
    except ValueError:  # not finite, or negative: it agrees with nothing
        nothing = np.full(evidence.shape, np.nan)
        return Opinion(nothing, nothing[..., 0])


def _verdicts(policy: Policy, kind: Modality, opinions: Opinion) -> list[tuple[object, bool]]:
    if np.isnan(opinions.uncertainty).any():
        return [(np.nan, False)] * len(opinions.belief)
    rows = zip(opinions.belief, opinions.uncertainty, strict=True)
    verdicts = (policy.judge({kind: Opinion(*row)}).verdict for row in rows)
    return [(verdict.emotion, verdict.trusted) for verdict in verdicts]


def _vary_pictures(reference: npt.NDArray[np.float32], count: int) -> npt.NDArray[np.float32]:
    """Return mixes of the rows (n, 1, H, W), shifted, with noise; mean 0 and deviation 1 each."""
    random = np.random.default_rng(_SEED)
    shares = random.dirichlet(np.full(len(reference), 0.3), count)
    mixed = np.einsum("cn,nkhw->ckhw", shares, reference)
    for row in mixed:
        row[:] = np.roll(row, random.integers(-8, 9, 2), axis=(1, 2))
    level = random.uniform(0, 0.7, (count, 1, 1, 1)) * random.integers(0, 2, (count, 1, 1, 1))
    mixed += level * random.normal(size=mixed.shape)
    mixed -= mixed.mean(axis=(1, 2, 3), keepdims=True)
    mixed /= np.maximum(mixed.std(axis=(1, 2, 3), keepdims=True), 1e-3)
    return np.asarray(mixed, dtype=np.float32)


def _vary_words(reference: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int64]:
    """Return rows (count, 1344) of the reference's words and made-up ones in any order."""
    random = np.random.default_rng(_SEED)
    known = reference.reshape(-1, PIECES)
    known = known[known.any(axis=1)]
    rows = np.zeros((count, WORDS, PIECES), dtype=np.int64)
    for row, length in zip(rows, random.integers(1, WORDS + 1, count), strict=True):
        row[:length] = known[random.integers(0, len(known), length)]
        strange = np.flatnonzero(random.uniform(size=length) < random.uniform())
        made_up = random.integers(1, BUCKETS, (len(strange), PIECES))
        row[strange] = made_up * (row[strange] > 0)
    return rows.reshape(count, -1)
