"""What every figure of trust asks of its input."""

from typing import Any

import numpy as np
import numpy.typing as npt

from engines.errors import CredenceError

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]


class TrustError(CredenceError):
    """Decisions that no figure can be made of."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"trust cannot be measured: {problem}")
        self.problem = problem


def check_decisions(correct: npt.ArrayLike, confidence: npt.ArrayLike) -> tuple[Bools, Floats]:
    """Return decisions (N,) and confidences (N,) as arrays; raise TrustError if they are none."""
    right, sure = check_correct(correct), check_list(confidence, "confidence").astype(np.float64)
    if len(right) != len(sure):
        raise TrustError(f"{len(right)} decisions have {len(sure)} confidences")
    if not ((sure >= 0) & (sure <= 1)).all():  # also refuses NaN
        raise TrustError("a confidence is not a number in [0, 1]")
    return right, sure


def check_predictions(probability: npt.ArrayLike, truth: npt.ArrayLike) -> tuple[Floats, Indices]:
    """Return probabilities (N, K) and true classes (N,); raise TrustError if they are none."""
    p, classes = np.asarray(probability, dtype=np.float64), check_list(truth, "truth")
    if p.ndim != 2 or len(p) != len(classes):
        raise TrustError(f"probabilities {p.shape} do not fit {len(classes)} true classes")
    if not ((p >= 0).all() and np.allclose(p.sum(axis=1), 1, rtol=0, atol=1e-6)):
        raise TrustError("a row of probabilities is not in [0, 1] with the sum 1")
    if classes.dtype.kind not in "iu" or not ((classes >= 0) & (classes < p.shape[1])).all():
        raise TrustError(f"a true class is not a whole number from 0 to {p.shape[1] - 1}")
    return p, classes.astype(np.intp)


def check_correct(correct: npt.ArrayLike) -> Bools:
    """Return which decisions (N,) were right; raise TrustError for anything but True and False."""
    right = check_list(correct, "correct")
    if not ((right == 0) | (right == 1)).all():
        raise TrustError("whether a decision was right must be True or False")
    flags: Bools = right.astype(np.bool_)
    return flags


def check_list(values: npt.ArrayLike, name: str) -> npt.NDArray[Any]:
    """Return values (N,), N ≥ 1, as an array; raise TrustError for another shape."""
    array: npt.NDArray[Any] = np.asarray(values)
    if array.ndim != 1 or not len(array):
        raise TrustError(f"{name} must be a list of at least one sample")
    return array


def check_bins(bins: int) -> None:
    """Raise TrustError unless there is a bin."""
    if bins < 1:
        raise TrustError(f"there must be at least one bin, not {bins}")
