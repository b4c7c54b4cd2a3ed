"""Does a plan say what the portable engine says? Opinions within a tolerance, verdicts equal.

The opinions of a multilabel engine are its probabilities and spreads, its verdict is the set of
emotions that it shows.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Final
from zipfile import BadZipFile

import numpy as np
from pydantic import BaseModel, ConfigDict

from engines import variations
from engines.job import Precision
from engines.manifest import (
    REFERENCE,
    BrokenBundleError,
    Modality,
    MultilabelManifest,
    NetworkManifest,
    Part,
)
from engines.opinion import Array, Opinion
from engines.runtime import INNER, Batch, Outputs, Runtime, joined, sound, stacked
from engines.verdict import Policy

INPUTS: Final = 1024
"""Compared at least: the reference inputs and variations of them. One verdict may differ."""
EQUAL: Final = 0.999
"""The least share of equal verdicts: the same emotion, and trusted or not alike; the same set."""
TOLERANCE: Final[dict[Precision, float]] = {"fp32": 1e-3, "fp16": 1e-2, "int8": 5e-2}
"""Of what `apart` gives."""

_LEAST_SPREAD: Final = 1e-6
_SEED: Final = 0


class Parity(BaseModel):
    """How far a plan agrees with the portable engine."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    inputs: int
    largest_difference: float
    """As `apart` gives it."""
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
    manifest: NetworkManifest,
    policy: Policy,
    most: int,
) -> Parity:
    """Judge ``inputs`` (N, ...) by both, in parts of 1 to ``most`` + 1 rows."""
    ends = np.random.default_rng(_SEED).integers(1, most + 2, len(inputs)).cumsum()
    starts = [0, *(int(end) for end in ends if end < len(inputs))]
    parts = [inputs[a:b] for a, b in pairwise([*starts, len(inputs)])]
    found, expected = (joined([run(part) for part in parts]) for run in (fast, portable))
    difference, equal = apart(found, expected), 0.0
    if not np.isnan(difference):
        verdicts = [_verdicts(policy, manifest, made) for made in (found, expected)]
        equal = float(np.mean([a == b for a, b in zip(*verdicts, strict=True)]))
    return Parity(
        inputs=len(inputs),
        largest_difference=difference,
        tolerance=TOLERANCE[precision],
        equal=equal,
        policy=policy.hash,
    )


def apart(found: Outputs, expected: Outputs) -> float:
    """Return the largest difference between two answers to the same inputs.

    Of a belief or an uncertainty; of a multilabel engine, of a probability, or of a spread as a
    share of the largest, as spreads have no scale. NaN where either is not `sound`.
    """
    if not (sound(found) and sound(expected)):
        return np.nan
    scale = max(float(expected["spread"].max()), _LEAST_SPREAD) if "spread" in expected else 1.0
    one, other = _numbers(found, scale), _numbers(expected, scale)
    return float(np.abs(one - other).max()) if one.shape == other.shape else np.nan


def _numbers(made: Outputs, scale: float) -> Array:
    if "evidence" in made:
        opinion = Opinion.from_evidence(made["evidence"])
        return np.column_stack([opinion.belief, opinion.uncertainty])
    return np.column_stack([made["probability"], made["spread"].astype(np.float64) / scale])


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """What a bundle says of itself: some inputs, and what its network made of them at export."""

    inputs: Batch
    """(n, ...)"""
    outputs: Outputs
    """Its answers (n, ...), without what `INNER` names."""


def reference_of(folder: Path, given: Sequence[str] = ()) -> Reference:
    """Read the reference of the bundle in a folder, with the answers among what its network has
    ``given``; raise BrokenBundleError."""
    try:
        with np.load(BytesIO((folder / REFERENCE).read_bytes())) as reference:
            answers = {name: reference[name] for name in given if name not in INNER}
            return Reference(reference["inputs"], answers)
    except (OSError, EOFError, KeyError, ValueError, TypeError, BadZipFile, zlib.error) as error:
        # What NumPy says is for programmers: to load it unsafely.
        raise BrokenBundleError(
            folder, f"{REFERENCE} is damaged; copy the bundle again, or export it again"
        ) from error


def inputs_for(
    reference: Batch,
    data: Batch | None = None,
    parts: Mapping[Modality, Part] = MappingProxyType({}),
) -> Batch:
    """Return what is compared: the reference (n, ...), variations of it, and ``data``.

    ``parts`` are a multilabel engine's.
    """
    missing = max(INPUTS - len(reference), 0)
    if np.issubdtype(reference.dtype, np.integer):
        varied: Batch = variations.words(reference.astype(np.int64), missing)
    elif parts:
        varied = variations.sequences(reference.astype(np.float32), parts, missing)
    else:
        varied = variations.pictures(reference.astype(np.float32), missing)
    return stacked([reference, varied, *([] if data is None else [data])])


def _verdicts(policy: Policy, manifest: NetworkManifest, made: Outputs) -> list[tuple[object, ...]]:
    if isinstance(manifest, MultilabelManifest):
        return [tuple(shown) for shown in made["probability"] >= manifest.thresholds]
    opinions = Opinion.from_evidence(made["evidence"])
    rows = zip(opinions.belief, opinions.uncertainty, strict=True)
    verdicts = (policy.judge({manifest.kind: Opinion(*row)}).verdict for row in rows)
    return [(verdict.emotion, verdict.trusted) for verdict in verdicts]
