"""What every reader returns: inputs, what people heard or saw in them, and who is in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from engines.errors import CredenceError
from engines.labels import EMOTIONS, Emotion

Part = Literal["train", "valid"]

Array = npt.NDArray[Any]
"""A face (H, W) uint8 grey, or a voice (samples,) float32 in [-1, 1] at 16 kHz."""

Input = Array | str
"""A face, a voice or a text."""


class DataError(CredenceError):
    """Data that cannot be used: absent, empty or not what they should be."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path, self.problem = path, problem


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Labelled inputs of one kind, in a fixed order."""

    inputs: Sequence[Input]
    targets: npt.NDArray[np.float32]
    """(N, 7) share of each emotion, every row of sum 1; one-hot where one label is known."""
    strata: tuple[str, ...]
    """By sample, the group that figures are broken down by, such as `ravdess female`."""
    paths: tuple[str, ...]
    """By sample, where it lies, as `table` writes it; of a text, the text."""
    people: tuple[str, ...]
    """By sample, who is seen or heard; empty where nobody is named."""
    unreadable: tuple[str, ...] = ()
    """What was wrong with each that was left out."""

    def __add__(self, other: Self) -> Self:
        """Return these samples, then the others."""
        return type(self)(
            [*self.inputs, *other.inputs],
            np.concatenate([self.targets, other.targets]),
            self.strata + other.strata,
            self.paths + other.paths,
            self.people + other.people,
            self.unreadable + other.unreadable,
        )

    def take(self, chosen: npt.NDArray[np.int64]) -> Self:
        """Return some of these samples, in the order of their indices."""
        rows = chosen.tolist()
        return type(self)(
            [self.inputs[i] for i in rows],
            self.targets[chosen],
            tuple(self.strata[i] for i in rows),
            tuple(self.paths[i] for i in rows),
            tuple(self.people[i] for i in rows),
            self.unreadable,
        )


def fold_of(people: Sequence[str], folds: int) -> npt.NDArray[np.int64]:
    """Return the fold (N,) from 0 of every sample: people in their order, in even runs.

    Nobody's samples (an empty name) are each somebody of their own.
    """
    names = [who or f"\0{i:09}" for i, who in enumerate(people)]
    order = {who: i for i, who in enumerate(sorted(set(names)))}
    return np.array([order[who] * folds // len(order) for who in names], dtype=np.int64)


def one_hot(emotions: Sequence[Emotion]) -> npt.NDArray[np.float32]:
    """Return the targets (N, 7) of samples that have one label each."""
    return np.eye(len(EMOTIONS), dtype=np.float32)[[EMOTIONS.index(e) for e in emotions]]


def check_file(path: Path) -> None:
    """Raise DataError unless a path names a file: no folder, no pipe, no impossible name."""
    try:
        there = path.is_file()
    except (OSError, ValueError):  # too long, or with a NUL in it
        there = False
    if not there:
        raise DataError(path, "is no file")
