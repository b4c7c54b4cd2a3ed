"""How sure is sure: what turns scores into probabilities, fitted on people never trained on."""

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]

_GOLDEN: Final = (np.sqrt(5) - 1) / 2
_LOWEST: Final = 0.05
_HIGHEST: Final = 20.0
_DOUBT: Final = 80.0
"""Precision of the prior of `correction`: five people leave the odds as they are."""


def temperature(logits: Float, truth: npt.NDArray[np.int64]) -> float:
    """Return the T in [0.05, 20] that makes softmax(logits / T) most likely (Guo et al. 2017).

    ``logits`` (N, K), ``truth`` (N,). The likelihood has one peak over log T.
    """
    return _best(lambda heat: surprise(logits / heat, truth))


def surprise(logits: Float, truth: npt.NDArray[np.int64]) -> float:
    """Return the mean negative log-likelihood of the truth (N,) under softmax(logits (N, K))."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    likelihood = shifted[np.arange(len(truth)), truth] - np.log(np.exp(shifted).sum(axis=1))
    return float(-likelihood.mean())


def dilution(total: Float, classes: int, right: npt.NDArray[np.bool_]) -> float:
    """Return the T in [0.05, 20] that makes 1 - u the likeliest chance of being right (ours).

    ``total`` (N,) = Σe > 0, u = K / (Σe / T + K); ``right`` (N,).
    """
    odds = np.log(total / classes)
    return _best(lambda heat: _doubt(odds - np.log(heat), right))


def correction(signs: Float, odds: Float, right: npt.NDArray[np.bool_]) -> Float:
    """Return the weights w (S,) of log-odds(right) = odds + w·signs: logistic regression (ours).

    ``signs`` (N, S), ``odds`` (N,) what they start from, ``right`` (N,). A normal prior holds w
    at 0, so that few people leave the odds as they are. Newton's method, halving what overshoots.
    """
    weights = np.zeros(signs.shape[1])

    def cost(w: Float) -> float:
        return _doubt(odds + signs @ w, right) * len(right) + _DOUBT / 2 * float(w @ w)

    for _ in range(30):
        chance = 1 / (1 + np.exp(-(odds + signs @ weights)))
        slope = signs.T @ (chance - right) + _DOUBT * weights
        curve = (signs.T * (chance * (1 - chance))) @ signs + _DOUBT * np.eye(len(weights))
        step = np.linalg.solve(curve, slope)
        while cost(weights - step) > cost(weights) and np.abs(step).max() > 1e-9:
            step /= 2
        weights = weights - step
    return weights


def rising(x: Float, y: Float, points: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return at most so many points, ascending, of the chance of y at x, which never falls.

    ``x`` (N,), ``y`` (N,) 0 or 1, are averaged in runs of equal size, equal x in one run, y by
    Laplace's rule of succession, and made monotone by pooling adjacent violators (Ayer et al.
    1955).
    """
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    edges = np.searchsorted(x, np.quantile(x, np.linspace(0, 1, points + 1)[1:-1]), side="right")
    starts = np.unique(np.concatenate([[0], edges[edges < len(x)]]))
    sizes = np.diff([*starts, len(x)]).astype(np.float64)
    across = np.add.reduceat(x, starts) / sizes
    height = pooled((np.add.reduceat(y, starts) + 1) / (sizes + 2), sizes)
    return tuple(across.tolist()), tuple(height.tolist())


def pooled(y: Float, weight: Float) -> Float:
    """Return the rising values (N,) nearest to y (N,), each of a weight: isotonic regression."""
    blocks: list[tuple[float, float, int]] = []  # mean, weight, length
    for value, heavy in zip(y.tolist(), weight.tolist(), strict=True):
        mean, total, length = value, heavy, 1
        while blocks and blocks[-1][0] >= mean:
            before, weighed, more = blocks.pop()
            mean = (mean * total + before * weighed) / (total + weighed)
            total, length = total + weighed, length + more
        blocks.append((mean, total, length))
    return np.concatenate([np.full(length, mean) for mean, _, length in blocks])


def _doubt(odds: Float, right: npt.NDArray[np.bool_]) -> float:
    """Return the mean negative log-likelihood of being right at log-odds (N,)."""
    return float(np.logaddexp(0.0, np.where(right, -odds, odds)).mean())


def _best(cost: Callable[[float], float]) -> float:
    """Return where a cost with one valley over log T in [0.05, 20] is least."""
    low, high = np.log(_LOWEST), np.log(_HIGHEST)
    for _ in range(60):
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        if cost(np.exp(left)) < cost(np.exp(right)):
            high = right
        else:
            low = left
    return float(np.exp((low + high) / 2))
