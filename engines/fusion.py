"""Rules that combine opinions, and the conflict between them.

All rules are written over evidence, where each is one line; they equal the published
recurrences over belief masses. A vacuous opinion changes nothing under any rule.
"""

from collections.abc import Sequence
from enum import StrEnum
from itertools import combinations

import numpy as np

from engines.opinion import Array, Opinion


class Rule(StrEnum):
    """How opinions are combined, named as in the literature."""

    DEMPSTER = "dempster"
    CUMULATIVE = "cumulative"
    AVERAGING = "averaging"
    WEIGHTED = "weighted"


def combine(opinions: Sequence[Opinion], rule: Rule) -> Opinion:
    """Fuse one or more opinions over the same classes; ValueError if there is none."""
    if not opinions:
        raise ValueError("there is no opinion to combine; a missing source is a vacuous opinion")
    return _RULES[rule](opinions)


def dempster(opinions: Sequence[Opinion]) -> Opinion:
    """Fuse independent sources by the reduced Dempster rule (Han et al. 2021, TMC, eq. 4)."""
    e = _evidence(opinions)
    classes = e.shape[-1]
    # In logarithms, so that many confident sources do not overflow before the cap applies.
    logs = np.log1p(e / classes).sum(axis=0)
    return Opinion.from_evidence(classes * np.expm1(np.minimum(logs, 100.0)))


def cumulative(opinions: Sequence[Opinion]) -> Opinion:
    """Fuse opinions that rest on disjoint evidence (Jøsang 2016, ch. 12).

    Uncertainty never grows. Overlapping windows must use `averaging`.
    """
    return Opinion.from_evidence(_evidence(opinions).sum(axis=0))


def averaging(opinions: Sequence[Opinion]) -> Opinion:
    """Fuse opinions that rest on the same evidence (Jøsang 2016, ch. 12).

    Vacuous opinions are left out of the mean: who saw nothing does not dilute who saw.
    """
    seen = (_confidence(opinions) > 0).astype(np.float64)
    return _weighted_mean(opinions, seen)


def weighted(opinions: Sequence[Opinion]) -> Opinion:
    """Fuse dependent opinions, each weighted by its confidence 1 - u (Jøsang 2016, ch. 12)."""
    return _weighted_mean(opinions, _confidence(opinions))


def conflict(a: Opinion, b: Opinion) -> Array:
    """Return the degree of conflict (...) in [0, 1] between two opinions (Xu et al. 2024, ECML).

    Half the distance of the projected probabilities, times both confidences.
    """
    distance = 0.5 * np.abs(a.projected - b.projected).sum(axis=-1)
    degree: Array = distance * (1.0 - a.uncertainty) * (1.0 - b.uncertainty)
    return degree


def largest_conflict(opinions: Sequence[Opinion]) -> Array:
    """Return the largest conflict (...) between any two opinions; 0 for a single one."""
    pairs = [conflict(a, b) for a, b in combinations(opinions, 2)]
    return np.max(pairs, axis=0) if pairs else np.zeros_like(opinions[0].uncertainty)


def agreement(opinions: Sequence[Opinion]) -> list[Array]:
    """Return how far each opinion agrees with all others together, t_i = 1 - DC(i, ⊕_{j≠i} j).

    (...) in [0, 1] each, ⊕ being the reduced Dempster rule; 1 for a single opinion. Ours: where a
    majority agrees, who dissents loses its trust; where nobody does, all lose it. Of two opinions
    both lose 1 - DC.
    """
    if len(opinions) == 1:
        return [np.ones_like(opinions[0].uncertainty)]
    rests = [dempster([*opinions[:i], *opinions[i + 1 :]]) for i in range(len(opinions))]
    return [
        np.clip(1.0 - conflict(own, rest), 0.0, 1.0)
        for own, rest in zip(opinions, rests, strict=True)
    ]


def discount_conflict(opinions: Sequence[Opinion]) -> list[Opinion]:
    """Trust each opinion as far as it agrees with the others.

    Ours: no rule here raises uncertainty when confident sources disagree, so this comes first.
    """
    trusts = agreement(opinions)
    return [opinion.discount(trust) for opinion, trust in zip(opinions, trusts, strict=True)]


def _evidence(opinions: Sequence[Opinion]) -> Array:
    return np.stack([o.evidence for o in opinions])  # (V, ..., K)


def _confidence(opinions: Sequence[Opinion]) -> Array:
    return np.stack([1.0 - o.uncertainty for o in opinions])  # (V, ...)


def _weighted_mean(opinions: Sequence[Opinion], weights: Array) -> Opinion:
    total = weights.sum(axis=0)
    share = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
    return Opinion.from_evidence((share[..., None] * _evidence(opinions)).sum(axis=0))


_RULES = {
    Rule.DEMPSTER: dempster,
    Rule.CUMULATIVE: cumulative,
    Rule.AVERAGING: averaging,
    Rule.WEIGHTED: weighted,
}
