"""How sure is sure: one temperature for all scores, fitted on people never trained on."""

from typing import Final

import numpy as np
import numpy.typing as npt

_GOLDEN: Final = (np.sqrt(5) - 1) / 2
_LOWEST: Final = 0.05
_HIGHEST: Final = 20.0


def temperature(logits: npt.NDArray[np.float64], truth: npt.NDArray[np.int64]) -> float:
    """Return the T in [0.05, 20] that makes softmax(logits / T) most likely (Guo et al. 2017).

    ``logits`` (N, K), ``truth`` (N,). The likelihood has one peak over log T.
    """
    low, high = np.log(_LOWEST), np.log(_HIGHEST)
    for _ in range(60):
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        if surprise(logits / np.exp(left), truth) < surprise(logits / np.exp(right), truth):
            high = right
        else:
            low = left
    return float(np.exp((low + high) / 2))


def surprise(logits: npt.NDArray[np.float64], truth: npt.NDArray[np.int64]) -> float:
    """Return the mean negative log-likelihood of the truth (N,) under softmax(logits (N, K))."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    likelihood = shifted[np.arange(len(truth)), truth] - np.log(np.exp(shifted).sum(axis=1))
    return float(-likelihood.mean())
