"""Moments: samples of one or more modalities at once, clean, corrupted or in conflict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Final

import numpy as np

from engines.manifest import Modality
from engines.verdict import Policy
from train.checks import Floats, Indices
from train.data.matched import match, swap
from train.metrics import Classes
from train.views import CLEAN, SPOILT, Look, View

SWAPPED: Final = "swapped "
"""Before a modality: it comes from a moment of another emotion."""


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """N moments, each seen by the same modalities."""

    looks: Mapping[Modality, Look]
    truth: Classes
    """(N,)"""
    people: tuple[str, ...]
    """(N,) of the modality that names the fewest: moments of one person are not independent."""

    def at(self, rows: Indices) -> "Moments":
        """Return some of them, in an order."""
        looks = {kind: look.at(rows) for kind, look in self.looks.items()}
        return Moments(looks, self.truth[rows], tuple(self.people[i] for i in rows))

    def __add__(self, other: "Moments") -> "Moments":
        """Return these moments, then others of the same modalities."""
        return Moments(
            {kind: look + other.looks[kind] for kind, look in self.looks.items()},
            np.concatenate([self.truth, other.truth]),
            self.people + other.people,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Fused:
    """What a policy makes of N moments."""

    right: Floats
    """(N,) 1 where the likeliest emotion is true, else 0."""
    probability: Floats
    """(N,) highest projected probability of the fused opinion."""


def conditions(kinds: Sequence[Modality]) -> tuple[str, ...]:
    """Return what may happen to moments of these modalities, `CLEAN` first."""
    swapped = [SWAPPED + kind for kind in kinds] if len(kinds) > 1 else []
    return (CLEAN, *(spec for kind in kinds for spec in SPOILT[kind]), *swapped)


def moments(views: Mapping[Modality, View], condition: str, n: int, seed: int) -> Moments:
    """Return moments under a condition: n pairs matched by label, or a single modality's own.

    Pairing samples of different people by label is synthetic (ours): `train.data.matched`.
    """
    kinds = list(views)
    truths = {kind: view.truth for kind, view in views.items()}
    rows = (
        match(truths, n, seed) if len(kinds) > 1 else {kinds[0]: np.arange(len(truths[kinds[0]]))}
    )
    truth = truths[kinds[0]][rows[kinds[0]]]
    looks = {}
    for kind, view in views.items():
        chosen = rows[kind]
        if condition == SWAPPED + kind:
            chosen = chosen[swap(truth, np.random.default_rng(seed))]
        spoilt = view.looks.get(condition, view.looks[CLEAN])
        looks[kind] = spoilt.at(chosen)
    named = min(kinds, key=lambda kind: len(set(views[kind].people)))
    return Moments(looks, truth, tuple(views[named].people[i] for i in rows[named]))


def mixture(views: Mapping[Modality, View], n: int, seed: int) -> Moments:
    """Return moments of which half are clean, and the others evenly under every other condition.

    No moment is there twice.
    """
    clean, *worse = conditions(list(views))
    parts = [moments(views, condition, n, seed) for condition in (clean, *worse)]
    rows = np.random.default_rng(seed).permutation(len(parts[0].truth))
    half = len(rows) // 2
    shares = [rows[:half], *np.array_split(rows[half:], len(worse))]
    return reduce(Moments.__add__, [p.at(np.sort(r)) for p, r in zip(parts, shares, strict=True)])


def fuse(policy: Policy, seen: Moments) -> Fused:
    """Let a policy weigh moments."""
    opinions = {kind: look.opinion for kind, look in seen.looks.items()}
    qualities = {kind: look.quality for kind, look in seen.looks.items()}
    p = policy.weigh(opinions, qualities).fused.projected
    return Fused((p.argmax(axis=1) == seen.truth).astype(np.float64), p.max(axis=1))


def together(several: Sequence[Fused]) -> Fused:
    """Return the moments of at least one, in their order, as one."""
    return Fused(
        np.concatenate([fused.right for fused in several]),
        np.concatenate([fused.probability for fused in several]),
    )
