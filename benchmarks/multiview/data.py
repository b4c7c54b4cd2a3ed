"""The three benchmarks, their splits, and the published ways to spoil the test part.

Splits, noise and conflict are those of Xu et al. 2024 (ECML), except that features are scaled to
[0, 1] by the training part alone.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.io import loadmat
from sklearn.preprocessing import MinMaxScaler

from engines.errors import CredenceError

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Features = tuple[Array, ...]
"""(N, D_v) for every view v."""


class BenchmarkDataError(CredenceError):
    """A benchmark's file is not there or not what it should be."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}; --data takes the folder of the .mat files")
        self.path = path


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """The same samples seen from several sides."""

    features: Features
    truth: Indices
    """(N,) classes in [0, K)"""


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """One benchmark, unscaled."""

    name: str
    views: Views
    fixed: int | None = None
    """How many samples, the first, are the training part; None where it is drawn."""

    @property
    def classes(self) -> int:
        """K"""
        return int(self.views.truth.max()) + 1


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """What is fitted on, and what is judged under every condition."""

    train: Views
    tests: dict[str, Views]
    """By condition: clean, noisy, conflictive."""


def load(folder: Path) -> list[Dataset]:
    """Read every benchmark; BenchmarkDataError if a file is missing or of another form."""
    return [_read(folder / name, reader) for name, reader in _READERS]


def drawn(dataset: Dataset, seed: int) -> Split:
    """Draw 80 % to train on, scale by them, and spoil copies of the rest."""
    rng = np.random.default_rng(seed)
    n = len(dataset.views.truth)
    order = np.arange(n) if dataset.fixed else rng.permutation(n)
    split = dataset.fixed or int(0.8 * n)
    everyone = _scaled(dataset.views, order[:split])
    clean = _chosen(everyone, order[split:])
    noise = noisy(clean, rng)
    return Split(
        _chosen(everyone, order[:split]),
        {"clean": clean, "noisy": noise, "conflictive": conflictive(noise, everyone, rng)},
    )


def noisy(views: Views, rng: np.random.Generator) -> Views:
    """Add noise of deviation 0.5 to 0 … V - 1 views of every tenth sample."""
    features = tuple(view.copy() for view in views.features)
    count = len(features)
    for i in _some(views, 0.1, rng):
        for v in rng.choice(count, size=rng.integers(count), replace=False):
            features[v][i] += rng.normal(0.0, 0.5, features[v].shape[1])
    return replace(views, features=features)


def conflictive(views: Views, donors: Views, rng: np.random.Generator) -> Views:
    """Swap one view of 40 % of the samples for that of the first donor of the next class."""
    features = tuple(view.copy() for view in views.features)
    classes = int(donors.truth.max()) + 1
    first = [int(np.flatnonzero(donors.truth == c)[0]) for c in range(classes)]
    for i in _some(views, 0.4, rng):
        v = int(rng.integers(len(features)))
        features[v][i] = donors.features[v][first[(views.truth[i] + 1) % classes]]
    return replace(views, features=features)


def _some(views: Views, share: float, rng: np.random.Generator) -> Indices:
    n = len(views.truth)
    return rng.choice(n, size=int(share * n), replace=False)


def _scaled(views: Views, train: Indices) -> Views:
    scaled = tuple(MinMaxScaler().fit(x[train]).transform(x) for x in views.features)
    return replace(views, features=scaled)


def _chosen(views: Views, rows: Indices) -> Views:
    return Views(tuple(x[rows] for x in views.features), views.truth[rows])


Reader = Callable[[dict[str, Any]], Dataset]


def _read(path: Path, reader: Reader) -> Dataset:
    if not path.is_file():
        raise BenchmarkDataError(path, "there is no such file")
    try:
        return reader(loadmat(path))
    except (KeyError, ValueError) as error:
        raise BenchmarkDataError(path, f"this is not the published file ({error})") from error


def _views(features: list[Any], truth: Any) -> Views:
    """Return views of rows, with classes counted from 0."""
    classes = np.unique(np.ravel(truth), return_inverse=True)[1].astype(np.int64)
    return Views(tuple(np.asarray(x, dtype=np.float64) for x in features), classes)


def _handwritten(mat: dict[str, Any]) -> Dataset:
    return Dataset("HandWritten", _views(list(mat["X"][0]), mat["Y"]))


def _fixed_handwritten(mat: dict[str, Any]) -> Dataset:
    parts = [np.vstack([mat[f"x{v}_train"], mat[f"x{v}_test"]]) for v in range(1, 7)]
    truth = np.vstack([mat["gt_train"], mat["gt_test"]])
    return Dataset("HandWritten, TMC's split", _views(parts, truth), fixed=len(mat["gt_train"]))


def _columns(name: str) -> Reader:
    return lambda mat: Dataset(name, _views([x.T for x in mat["X"][0]], mat["gt"]))


_READERS: list[tuple[str, Reader]] = [
    ("handwritten.mat", _handwritten),
    ("tmc_handwritten_6views.mat", _fixed_handwritten),
    ("PIE_face_10.mat", _columns("PIE")),
    ("scene15_mtv.mat", _columns("Scene15")),
]
