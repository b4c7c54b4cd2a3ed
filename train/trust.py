"""How far a confidence can be relied on. Pure NumPy; checked against other implementations.

Everywhere ``correct`` (N,) bool says which decisions were right, ``confidence`` (N,) in [0, 1] how
sure each was, ``probability`` (N, K) rows of sum 1, ``truth`` (N,) classes in [0, K), and N ≥ 1.
Whatever is not so raises TrustError. No figure depends on the order of the samples: where
confidences are equal, areas and curves are the expectation over all orders of the equal ones.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from train.checks import (
    Bools,
    Floats,
    Indices,
    TrustError,
    check_bins,
    check_correct,
    check_decisions,
    check_predictions,
)
from train.resample import percentiles, resamples

_LEAST_PROBABILITY: Final = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, slots=True)
class Trusted:
    """What trusting from one threshold on gives (**ours**, from TER's words).

    All in [0, 1]; None where undefined: precision when nothing is trusted, recall when nothing is
    right, F1 when either is.
    """

    precision: float | None
    """Right and trusted, of the trusted."""
    recall: float | None
    """Right and trusted, of the right."""
    f1: float | None
    """Harmonic mean of precision and recall."""
    accuracy: float
    """Right and trusted, or wrong and not trusted, of all."""
    coverage: float
    """Trusted, of all."""


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """Confidence beside accuracy, by bin of confidence; empty bins are left out."""

    confidence: Floats
    """(B,) mean confidence in the bin."""
    accuracy: Floats
    """(B,) share of right decisions in the bin."""
    count: npt.NDArray[np.int64]
    """(B,) samples in the bin, ≥ 1."""

    @property
    def error(self) -> float:
        """The mean distance of confidence and accuracy, weighted by count."""
        gap = np.abs(self.confidence - self.accuracy)
        return float((gap * self.count).sum() / self.count.sum())


def trusted(correct: npt.ArrayLike, confidence: npt.ArrayLike, threshold: float) -> Trusted:
    """Judge the rule "trusted is a confidence of at least the threshold" (**ours**).

    >>> trusted([True, True, False, False], [0.9, 0.4, 0.8, 0.1], 0.5)
    Trusted(precision=0.5, recall=0.5, f1=0.5, accuracy=0.5, coverage=0.5)
    >>> trusted([True, False], [0.3, 0.2], 0.5).precision is None
    True
    """
    right, sure = check_decisions(correct, confidence)
    chosen = sure >= threshold
    both, all_chosen, all_right = int((right & chosen).sum()), int(chosen.sum()), int(right.sum())
    return Trusted(
        precision=both / all_chosen if all_chosen else None,
        recall=both / all_right if all_right else None,
        f1=2 * both / (all_chosen + all_right) if all_chosen and all_right else None,
        accuracy=float((right == chosen).mean()),
        coverage=float(chosen.mean()),
    )


def best_threshold(correct: npt.ArrayLike, confidence: npt.ArrayLike) -> float:
    """Return TER's trusted threshold: the one of the best trusted F1 (**ours**).

    The highest of several that are as good. It often trusts everything: report it, decide by
    `certify`.

    >>> best_threshold([True, True, False], [0.9, 0.8, 0.3])
    0.8
    """
    right, sure = check_decisions(correct, confidence)
    threshold, count, hits = _levels(right, sure)
    f1 = 2 * hits / (count + right.sum())
    return float(threshold[f1.argmax()])


def trust_everything_f1(correct: npt.ArrayLike) -> float:
    """Return 2a/(1+a), a the accuracy: the trusted F1 of trusting everything (TER's abstract).

    >>> trust_everything_f1([True, True, True, False])
    0.8571428571428571
    """
    right = check_correct(correct)
    return float(2 * right.mean() / (1 + right.mean()))


def risk_coverage(correct: npt.ArrayLike, confidence: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Return coverage (N,) = 1/N … 1 and the error rate (N,) of the surest that share.

    Geifman & El-Yaniv 2017.

    >>> coverage, risk = risk_coverage([True, False, False], [0.9, 0.5, 0.5])
    >>> risk.round(3).tolist()
    [0.0, 0.5, 0.667]
    """
    right, sure = check_decisions(correct, confidence)
    taken = np.arange(1, len(right) + 1)
    return taken / len(right), _errors(right, sure) / taken


def aurc(correct: npt.ArrayLike, confidence: npt.ArrayLike) -> float:
    """Return the mean error rate over all coverages; lower is better (Geifman et al. 2019).

    >>> aurc([True, False], [0.9, 0.1])
    0.25
    """
    return float(risk_coverage(correct, confidence)[1].mean())


def e_aurc(correct: npt.ArrayLike, confidence: npt.ArrayLike) -> float:
    """Return `aurc` above that of the best order of the same decisions (Geifman et al. 2019).

    Exact for N samples, where the paper approximates the best by r + (1 - r)·ln(1 - r).

    >>> e_aurc([True, False], [0.1, 0.9])
    0.5
    """
    right = check_correct(correct)
    return aurc(right, confidence) - aurc(right, right.astype(np.float64))


def augrc(correct: npt.ArrayLike, confidence: npt.ArrayLike) -> float:
    """Return the area under the share of all samples that is trusted and wrong, over coverage.

    Lower is better, in [0, 0.5]; trapezoids from coverage 0 (Traub et al. 2024).

    >>> augrc([True, False], [0.9, 0.1])
    0.125
    """
    right, sure = check_decisions(correct, confidence)
    share = np.concatenate([[0.0], _errors(right, sure)]) / len(right)
    return float((share[1:] + share[:-1]).sum() / 2 / len(right))


def coverage_at(correct: npt.ArrayLike, confidence: npt.ArrayLike, precision: float) -> float:
    """Return the largest coverage of a threshold with at least this precision; 0 if none has it.

    Measured on the samples themselves, so it promises nothing about others; `certify` does.

    >>> coverage_at([True, True, False, True], [0.9, 0.8, 0.7, 0.6], 0.75)
    1.0
    """
    right, sure = check_decisions(correct, confidence)
    _, count, hits = _levels(right, sure)
    # The slack is for rounding: 0.9 * 10 samples must not ask for more than 9 right ones.
    return float(count[hits >= precision * count - 1e-9].max(initial=0) / len(right))


def error_auroc(correct: npt.ArrayLike, confidence: npt.ArrayLike) -> float | None:
    """Return how often a right decision is surer than a wrong one, a tie counting half.

    Hendrycks & Gimpel 2017, by Mann-Whitney's U. None where all are right or all are wrong.

    >>> error_auroc([True, False, True], [0.9, 0.5, 0.5])
    0.75
    """
    right, sure = check_decisions(correct, confidence)
    if right.all() or not right.any():
        return None
    wrong = np.sort(sure[~right])
    below = np.searchsorted(wrong, sure[right], "left")
    not_above = np.searchsorted(wrong, sure[right], "right")
    return float((below + not_above).mean() / 2 / len(wrong))


def ece(correct: npt.ArrayLike, confidence: npt.ArrayLike, bins: int = 15) -> float:
    """Return the expected calibration error over bins of equal width (Guo et al. 2017).

    >>> round(ece([True, False], [0.9, 0.9]), 3)
    0.4
    """
    return reliability(correct, confidence, bins).error


def adaptive_ece(correct: npt.ArrayLike, confidence: npt.ArrayLike, bins: int = 15) -> float:
    """Return the expected calibration error over bins of equal count (Nguyen & O'Connor 2015).

    Equal confidences share a bin.

    >>> round(adaptive_ece([True, False, True, True], [0.2, 0.3, 0.8, 0.9], 2), 3)
    0.2
    """
    right, sure = check_decisions(correct, confidence)
    check_bins(bins)
    rank = np.searchsorted(np.sort(sure), sure, "left")
    return _binned(right, sure, rank * bins // len(sure)).error


def reliability(correct: npt.ArrayLike, confidence: npt.ArrayLike, bins: int = 15) -> Reliability:
    """Return what a reliability diagram shows: bins of equal width, (low, high] (Guo et al. 2017).

    >>> reliability([True, False], [0.9, 0.2], 2).accuracy.tolist()
    [0.0, 1.0]
    """
    right, sure = check_decisions(correct, confidence)
    check_bins(bins)
    edges = np.linspace(0, 1, bins + 1)
    return _binned(right, sure, np.maximum(np.searchsorted(edges, sure, "left") - 1, 0))


def nll(probability: npt.ArrayLike, truth: npt.ArrayLike) -> float:
    """Return the mean of -ln p(truth), each p at least 2.2e-16 so that it stays finite.

    >>> nll([[0.5, 0.5]], [1])
    0.6931471805599453
    """
    p, classes = check_predictions(probability, truth)
    return float(-np.log(np.maximum(p[np.arange(len(p)), classes], _LEAST_PROBABILITY)).mean())


def brier(probability: npt.ArrayLike, truth: npt.ArrayLike) -> float:
    """Return the mean of Σ_k (p_k - 1[k = truth])², in [0, 2] (Brier 1950).

    >>> brier([[0.5, 0.5]], [1])
    0.5
    """
    p, classes = check_predictions(probability, truth)
    return float(((p - np.eye(p.shape[1])[classes]) ** 2).sum(axis=1).mean())


def bootstrap(
    statistic: Callable[[Indices], float | None],
    groups: npt.ArrayLike,
    *,
    draws: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, float]:
    """Return a statistic's percentile interval, drawing whole groups (Field & Welsh 2007).

    ``groups`` (N,) names who each sample is of; each draw takes as many groups as there are, with
    replacement, and hands the statistic the indices of their samples. Draws where it is None are
    left out. Raises TrustError with fewer than two groups, or when it is always None.

    >>> bootstrap(lambda chosen: float(chosen.mean()), ["a", "a", "b", "b"], draws=200)
    (0.5, 2.5)
    """
    interval = percentiles([statistic(drawn) for drawn in resamples(groups, draws, seed)], level)
    if interval is None:
        raise TrustError("the statistic is undefined in every draw")
    return interval


def _errors(right: Bools, sure: Floats) -> Floats:
    """Return the expected number of errors (N,) among the k surest, k = 1 … N."""
    _, count, hits = _levels(right, sure)
    taken = np.arange(1, len(right) + 1)
    return np.asarray(np.interp(taken, np.append(0, count), np.append(0, count - hits)))


def _levels(right: Bools, sure: Floats) -> tuple[Floats, Indices, Indices]:
    """Return the distinct confidences, highest first, and how many (right) ones are no lower."""
    order = np.argsort(-sure, kind="stable")
    last = np.append(np.flatnonzero(np.diff(sure[order])), len(sure) - 1)
    return sure[order][last], last + 1, right[order].cumsum()[last]


def _binned(right: Bools, sure: Floats, bin_of: Indices) -> Reliability:
    count = np.bincount(bin_of)
    full = count > 0
    return Reliability(
        np.bincount(bin_of, sure)[full] / count[full],
        np.bincount(bin_of, right)[full] / count[full],
        count[full],
    )
