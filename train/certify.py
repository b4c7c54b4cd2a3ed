"""A confidence from which decisions are right as often as promised, or why there is none.

Fixed-sequence testing (Bauer 1991; for thresholds Angelopoulos et al. 2021, "Learn then test")
with one-sided exact binomial tests (Clopper & Pearson 1934), **ours** in how they are put together.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
import numpy.typing as npt

from train.checks import Bools, Floats, TrustError, check_decisions

CANDIDATES: Final = 20
FEWEST: Final = 50
"""Trusted samples at the first candidate, as many as independent ones."""
_PLANNED: Final = 0.05
"""What is taken for the correlation within a person until samples have been tested."""
FEWEST_PEOPLE: Final = 6
"""With fewer, simulated promises were broken too often; the tests hold them from here on."""


@dataclass(frozen=True, slots=True)
class Certified:
    """With probability 1 - delta, decisions of at least this confidence reach the target."""

    confidence: float
    """The lowest certified threshold; equal confidences are trusted too."""
    target: float
    delta: float
    n: int
    """Trusted samples that certified it."""
    effective_n: int
    """As many independent samples say as much: fewer than n where people repeat themselves."""
    precision: float
    """Of those samples."""
    lower_bound: float
    """Of the precision, one-sided, at 1 - delta; at least the target."""
    coverage: float
    """The trusted share of all samples."""


@dataclass(frozen=True, slots=True)
class Uncertified:
    """The data certify no threshold."""

    reason: str
    """One sentence with the numbers, for a user."""


def certify(
    correct: npt.ArrayLike,
    confidence: npt.ArrayLike,
    groups: npt.ArrayLike,
    *,
    target: float = 0.9,
    delta: float = 0.05,
    at_least: float = 0.0,
) -> Certified | Uncertified:
    """Return the lowest threshold whose precision is at least the target, with certainty 1 - delta.

    ``correct`` (N,) bool, ``confidence`` (N,) in [0, 1], ``groups`` (N,) who each sample is of.
    Candidates are fixed by the confidences alone and tested from the strictest down; the first
    that fails ends it. ``at_least``, chosen on other samples, is the last one where it is larger
    than 0. The promise is for new samples of the same kind (and new people), not for
    another domain. Raises TrustError for impossible input.
    """
    right, sure = check_decisions(correct, confidence)
    people = np.asarray(groups)
    if people.shape != right.shape:
        raise TrustError(f"{len(right)} decisions have groups of shape {people.shape}")
    check_promise(target, delta)
    if len(right) < FEWEST:
        return Uncertified(f"{len(right)} samples are too few; at least {FEWEST} are needed")
    if (known := len(np.unique(people))) < FEWEST_PEOPLE:
        whom = "one person" if known == 1 else f"{known} people"
        return Uncertified(
            f"samples of {whom} say too little about others; "
            f"at least {FEWEST_PEOPLE} people are needed"
        )
    thresholds = candidates(sure, people)
    if at_least > 0:
        thresholds = np.append(thresholds[thresholds > at_least], at_least)
    return _walk_down(right, sure, people, thresholds, target, delta)


def check_promise(target: float, delta: float) -> None:
    """Raise TrustError unless a precision and a chance can be promised."""
    if not (0 < target < 1 and 0 < delta < 1):
        raise TrustError(f"precision {target} and delta {delta} must lie between 0 and 1")


def candidates(confidence: Floats, people: npt.NDArray[np.generic]) -> Floats:
    """Return at most 20 thresholds, strictest first, from confidences (N,) and people (N,) alone.

    The first trusts as many of the surest samples as count like 50 independent ones, at a
    correlation of 0.05 within a person; the last all. The number grows evenly between them.
    """
    order = np.argsort(-confidence, kind="stable")
    counts = np.linspace(FEWEST, len(order), CANDIDATES).round().astype(int)
    enough = (n for n in counts if effective_size(people[order[:n]], _PLANNED) >= FEWEST)
    counts = np.linspace(next(enough, len(order)), len(order), CANDIDATES).round().astype(int)
    return np.unique(confidence[order][counts - 1])[::-1]


def effective_size(
    groups: npt.NDArray[np.generic], correlation: float, delta: float = 0.05
) -> float:
    """Return how many independent samples say as much as these: n / (1 + (m - 1)·ρ) (Kish 1965).

    ``groups`` (n,) who each is of; m = Σ m_i² / Σ m_i over the m_i samples of each person. Where
    people repeat themselves it is shrunk by (z / t)², quantiles at 1 - delta, t of as many degrees
    of freedom as there are people less one (Korn & Graubard 1998): few people show ρ badly.
    """
    sizes = np.unique(groups, return_counts=True)[1].astype(np.float64)
    n, m = sizes.sum(), (sizes**2).sum() / sizes.sum()
    shrunk = 1.0 if m == 1 else _normal_to_student(1 - delta, max(len(sizes) - 1, 1)) ** 2
    return float(n * shrunk / (1 + (m - 1) * correlation))


def intraclass_correlation(correct: Bools, groups: npt.NDArray[np.generic]) -> float:
    """Return how far being right goes with the person, in [0, 1] (one-way ANOVA, Donner 1986).

    0 where all or none are right, or nobody has two samples.
    """
    member, sizes = np.unique(groups, return_inverse=True, return_counts=True)[1:]
    people, n = len(sizes), len(correct)
    if people < 2 or n == people:
        return 0.0
    mean = np.bincount(member, correct) / sizes
    between = (sizes * (mean - correct.mean()) ** 2).sum() / (people - 1)
    within = (sizes * mean * (1 - mean)).sum() / (n - people)
    typical = (n - (sizes**2).sum() / n) / (people - 1)
    spread = between + (typical - 1) * within
    return float(np.clip((between - within) / spread, 0, 1)) if spread > 0 else 0.0


def lower_bound(errors: int, n: int, delta: float) -> float:
    """Return the one-sided lower bound of a precision, at 1 - delta (Clopper & Pearson 1934).

    The precision at which so few errors (or fewer) among n samples would have probability delta.
    """
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if chance(errors, n, middle) <= delta else (low, middle)
    return low


def chance(errors: int, n: int, precision: float) -> float:
    """Return the probability of at most so many errors among n samples, precision in (0, 1)."""
    odds = math.log(1 - precision), math.log(precision)
    ways = math.lgamma(n + 1)
    return math.fsum(
        math.exp(
            ways - math.lgamma(i + 1) - math.lgamma(n - i + 1) + i * odds[0] + (n - i) * odds[1]
        )
        for i in range(errors + 1)
    )


def _walk_down(
    right: Bools,
    sure: Floats,
    people: npt.NDArray[np.generic],
    thresholds: Floats,
    target: float,
    delta: float,
) -> Certified | Uncertified:
    found: Certified | Uncertified = Uncertified("there are no samples")
    overall = intraclass_correlation(right, people)
    for threshold in thresholds:
        chosen = sure >= threshold
        # Few samples hide a correlation, so the larger of the two counts.
        rho = max(overall, intraclass_correlation(right[chosen], people[chosen]))
        n, errors = int(chosen.sum()), int((chosen & ~right).sum())
        if n < FEWEST:
            return Uncertified(f"only {n} samples reach a confidence of {threshold:.3f}")
        size = math.floor(effective_size(people[chosen], rho, delta))
        # Rounded to the safe side: fewer samples, more errors.
        bound = lower_bound(math.ceil(errors * size / n - 1e-9), size, delta)
        if bound < target:
            if isinstance(found, Certified):
                return found
            return Uncertified(_too_few(n, errors, size, bound, target, delta))
        found = Certified(
            float(threshold), target, delta, n, size, 1 - errors / n, bound, n / len(right)
        )
    return found


def _too_few(n: int, errors: int, size: int, bound: float, target: float, delta: float) -> str:
    return (
        f"of the {n} surest samples {n - errors} are right, which counts like {size} independent "
        f"ones and certifies a precision of {bound:.3f}, not {target:g}, with probability "
        f"{1 - delta:g}; collect more samples of more people"
    )


def _normal_to_student(level: float, freedom: int) -> float:
    """Return the quantile of the normal over Student's (Abramowitz & Stegun 1964, 26.7.5)."""
    z = NormalDist().inv_cdf(level)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return z / (z + math.fsum(term / freedom**i for i, term in enumerate(terms, start=1)))
