"""Figures of sets of labels against the truth. Pure; checked against scikit-learn in the tests."""

import numpy as np
import numpy.typing as npt

Sets = npt.NDArray[np.bool_]


def scores(truth: Sets, shown: Sets) -> dict[str, float]:
    """Return how well the labels (N, L) that were shown meet those that are true, N ≥ 1.

    `accuracy` is the mean over samples of |true ∩ shown| / |true ∪ shown| (the Jaccard index).
    `micro_precision`, `micro_recall` and `micro_f1` count all samples and labels together,
    `macro_f1` is the mean F1 over the labels, `hamming` the share of wrong decisions. What would
    divide by 0 is 0: a sample without a label, true or shown, counts 0 in the accuracy, and a
    label that is never true nor shown counts 0 in `macro_f1`. That is scikit-learn's
    `zero_division=0`, and what the published figures are computed with.
    """
    both, either = truth & shown, truth | shown
    return {
        "n": len(truth),
        "accuracy": float(_share(both.sum(axis=1), either.sum(axis=1)).mean()),
        "micro_precision": float(_share(both.sum(), shown.sum())),
        "micro_recall": float(_share(both.sum(), truth.sum())),
        "micro_f1": micro_f1(truth, shown),
        "macro_f1": float(label_f1(truth, shown).mean()),
        "hamming": float((truth != shown).mean()),
    }


def micro_f1(truth: Sets, shown: Sets) -> float:
    """Return the F1 of all samples and labels together; 0 where none is true nor shown."""
    return float(_share(2 * (truth & shown).sum(), truth.sum() + shown.sum()))


def label_f1(truth: Sets, shown: Sets) -> npt.NDArray[np.float64]:
    """Return F1 (L,) of each label; 0 where it is never true nor shown."""
    return _share(2 * (truth & shown).sum(axis=0), truth.sum(axis=0) + shown.sum(axis=0))


def _share(part: npt.ArrayLike, whole: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return part / whole, 0 where the whole is 0; a part of nothing is 0."""
    return np.asarray(part) / np.maximum(whole, 1)
