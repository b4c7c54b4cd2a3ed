"""What every reader of sequences returns: by sample, a sequence of each modality and the labels."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from engines.errors import CredenceError

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]

READERS: Final = {
    "matched": "train.multilabel.matched",
    "mosei": "train.data.mosei",
    "m3ed": "train.data.m3ed",
}
"""By corpus, the module whose `read(data: Path) -> Parts` reads it; loaded when asked for."""


class UnknownSequencesError(CredenceError):
    """A name that is none of the corpora of sequences."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name!r} is no corpus of sequences; use one of {', '.join(READERS)}")
        self.name = name


@dataclass(frozen=True, slots=True, eq=False)
class Sequences:
    """Samples of several modalities with several labels each, in a fixed order.

    A row of zeros in a sequence is padding; a sequence of zeros is an absent modality.
    """

    pools: Mapping[str, Floats]
    """By modality, the sequences (P, T, D) that its samples refer to."""
    rows: Mapping[str, Indices]
    """By modality, which sequence of the pool each sample (N,) has; -1 where it has none."""
    targets: Floats
    """(N, L) 1 where a label is present, 0 where it is not."""
    labels: tuple[str, ...]
    names: tuple[str, ...]
    """By sample, what the corpus calls it."""

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.names)

    @property
    def widths(self) -> dict[str, int]:
        """The numbers in a row of each modality, D."""
        return {modality: pool.shape[2] for modality, pool in self.pools.items()}

    def take(self, indices: npt.NDArray[np.integer[Any]]) -> Self:
        """Return some of these samples, in the order of their indices; pools are shared."""
        return type(self)(
            self.pools,
            {modality: rows[indices] for modality, rows in self.rows.items()},
            self.targets[indices],
            self.labels,
            tuple(self.names[i] for i in indices.tolist()),
        )

    def batch(self, indices: npt.NDArray[np.integer[Any]]) -> dict[str, Floats]:
        """Return the sequences (B, T, D) of some samples by modality, a copy; absent ones are 0."""
        return {
            modality: _rows_of(pool, self.rows[modality][indices])
            for modality, pool in self.pools.items()
        }


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """A corpus; epoch and threshold are chosen on ``valid``, ``test`` is only measured."""

    train: Sequences
    valid: Sequences
    test: Sequences
    notes: tuple[str, ...] = field(default=(), kw_only=True)
    """What was left out or is missing, for people."""


def read_sequences(corpus: str, data: Path) -> Parts:
    """Read a corpus by name from the data folder; raise UnknownSequencesError or DataError."""
    if corpus not in READERS:
        raise UnknownSequencesError(corpus)
    parts: Parts = importlib.import_module(READERS[corpus]).read(data)
    return parts


def _rows_of(pool: Floats, rows: Indices) -> Floats:
    there = rows >= 0
    if there.all():
        return pool[rows]
    batch = np.zeros((len(rows), *pool.shape[1:]), np.float32)
    batch[there] = pool[rows[there]]
    return batch
