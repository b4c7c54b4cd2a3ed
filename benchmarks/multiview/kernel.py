"""Kernel ridge classifiers whose doubt is measured by leaving out one sample at a time.

Nothing is tuned to a benchmark: the two constants were chosen by leave-one-out accuracy on the
training parts, for all of them at once.
"""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt
from scipy.linalg import inv
from sklearn.preprocessing import StandardScaler

from benchmarks.multiview.data import Features, Indices
from train.calibrate import Float, temperature

_WIDTH: Final = 0.7
"""Of the kernel, in median squared distances."""
_RIDGE: Final = 0.03
_SCORES: Final = 10.0
"""Brings temperatures near 1: scores are near 0 or 1, logits are not."""

Distances = list[npt.NDArray[np.float32]]
"""By view, (N, M) squared, in units of the training part's median."""


class Geometry:
    """How far samples are from those that were trained on, view by view."""

    def __init__(self, train: Features) -> None:
        """Take the training part: what is far is measured by its deviations and medians."""
        self._scalers = [StandardScaler().fit(_root(x)) for x in train]
        self._train = self._standard(train)
        within = [_squared(x, x) for x in self._train]
        self._medians = [float(np.median(d)) for d in within]
        self.within: Distances = [d / m for d, m in zip(within, self._medians, strict=True)]
        """(N, N) of the training part to itself."""

    def to(self, features: Features) -> Distances:
        """Return the distances (M, N) of other samples to the training part."""
        pairs = zip(self._standard(features), self._train, self._medians, strict=True)
        return [_squared(a, b) / m for a, b, m in pairs]

    def _standard(self, features: Features) -> list[npt.NDArray[np.float32]]:
        pairs = zip(self._scalers, features, strict=True)
        return [scaler.transform(_root(x)).astype(np.float32) for scaler, x in pairs]


@dataclass(frozen=True, slots=True, eq=False)
class KernelRidge:
    """One-hot classes regressed on k(a, b) = exp(-0.7·mean_v d_v(a, b)), as probabilities."""

    views: tuple[int, ...]
    weights: npt.NDArray[np.float32]
    """(N, K)"""
    temperature: float
    left_out: Float
    """(N, K) probabilities of each training sample, judged by all others."""

    @classmethod
    def fit(cls, views: tuple[int, ...], within: Distances, truth: Indices) -> Self:
        """Fit in closed form; leaving out sample i changes its score by w_i / G⁻¹_ii (Allen)."""
        classes = int(truth.max()) + 1
        target = np.eye(classes, dtype=np.float32)[truth] - np.float32(1 / classes)
        gram = _kernel(within, views)
        gram[np.diag_indices(len(gram))] += _RIDGE
        inverse = inv(gram, overwrite_a=True, assume_a="pos")
        weights = inverse @ target
        scores = _SCORES * (target - weights / np.diag(inverse)[:, None]).astype(np.float64)
        heat = temperature(scores, truth)
        return cls(views, weights, heat, _softmax(scores / heat))

    def probabilities(self, distances: Distances) -> Float:
        """Return (M, K), rows of sum 1. Far from everything is 1/K each."""
        scores = _SCORES * (_kernel(distances, self.views) @ self.weights).astype(np.float64)
        return _softmax(scores / self.temperature)


def _root(x: Float) -> Float:
    """Tame long tails; histograms become what Hellinger's distance compares."""
    return np.asarray(np.sign(x) * np.sqrt(np.abs(x)))


def _squared(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    squares = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1) - 2 * a @ b.T
    return np.asarray(np.maximum(squares, 0), dtype=np.float32)


def _kernel(distances: Distances, views: tuple[int, ...]) -> npt.NDArray[np.float32]:
    mean = sum(distances[v] for v in views) / len(views)
    return np.asarray(np.exp(-_WIDTH * mean), dtype=np.float32)


def _softmax(logits: Float) -> Float:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
