"""Figures of decisions against truth. Pure; checked against scikit-learn in the tests."""

import numpy as np
import numpy.typing as npt

from engines.labels import EMOTIONS

Classes = npt.NDArray[np.int64]


def scores(truth: Classes, guess: Classes) -> dict[str, float]:
    """Return n, accuracy, uar, macro_f1, weighted_f1 of decisions (N,) against truth (N,), N ≥ 1.

    A guess of -1, no decision, is wrong.
    `uar` is the mean recall over the classes that occur in the truth. `macro_f1` is the mean F1
    over those that occur in truth or decisions, `weighted_f1` weights by the truth's counts.
    """
    counts = confusion(truth, guess).astype(np.float64)
    right, guessed = counts.diagonal(), counts.sum(axis=0)
    true = np.bincount(truth, minlength=len(EMOTIONS)).astype(np.float64)
    f1 = 2 * right / np.maximum(true + guessed, 1)
    return {
        "n": len(truth),
        "accuracy": float(right.sum() / len(truth)),
        "uar": float((right / np.maximum(true, 1))[true > 0].mean()),
        "macro_f1": float(f1[true + guessed > 0].mean()),
        "weighted_f1": float((f1 * true).sum() / len(truth)),
    }


def confusion(truth: Classes, guess: Classes) -> Classes:
    """Return how often class i (row) was taken for class j (column), -1 left out: (7, 7)."""
    counts = np.zeros((len(EMOTIONS), len(EMOTIONS)), dtype=np.int64)
    np.add.at(counts, (truth[guess >= 0], guess[guess >= 0]), 1)
    return counts


def rank_correlation(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float | None:
    """Return Spearman's ρ in [-1, 1] of two series (N,); None where one of them is constant."""
    if len(np.unique(a)) < 2 or len(np.unique(b)) < 2:
        return None
    return float(np.corrcoef(_ranks(a), _ranks(b))[0, 1])


def _ranks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the rank (N,) of each value, equal ones sharing their mean rank."""
    _, which, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    ranks: npt.NDArray[np.float64] = (last - (count - 1) / 2)[which]
    return ranks
