"""Ways to make one opinion of what is heard and what is seen, and the one that is best."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from benchmarks.ravdess_au.conditions import SWAPPED, Pair
from benchmarks.ravdess_au.heads import Said
from benchmarks.ravdess_au.takes import Classes, Floats
from engines.fusion import Rule, combine, discount_conflict, largest_conflict
from engines.opinion import LEAST_UNCERTAINTY, Opinion
from train import trust
from train.views import CLEAN

RELIABILITIES: Final = (1.0, 0.9, 0.8)
Mix = Mapping[str, int]
"""In which proportions takes are met under each condition, where something is fitted."""
NOISY: Final[Mix] = {CLEAN: 2, "noise:10": 1, "noise:0": 1}
SWAPPING: Final[Mix] = {CLEAN: 3, "noise:10": 1, "noise:0": 1, SWAPPED: 1}


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What is made of N takes."""

    probability: Floats
    """(N, 8)"""
    uncertainty: Floats
    """(N,) in [0, 1]; NaN where there are no opinions."""
    conflict: Floats
    """(N,) in [0, 1]; NaN likewise."""

    @classmethod
    def plain(cls, probability: Floats) -> "Answer":
        """Return what has no opinion."""
        return cls(probability, *np.full((2, len(probability)), np.nan))


@dataclass(frozen=True, slots=True)
class Way:
    """How to fuse by belief."""

    posterior: bool
    """Opinions are the calibrated probabilities themselves, and only what the reliability takes
    is uncertain: then Dempster's rule is Bayes' rule for independent sources. Else they are those
    of the head `calibrated`, which also hold back belief where they are not sure."""
    discount: bool
    """Opinions in conflict are discounted first, as in the product's policy."""
    rule: Rule
    voice: float = 1.0
    """Reliability in [0, 1]."""
    face: float = 1.0
    """Reliability in [0, 1]."""

    def fuse(self, pair: Pair) -> Answer:
        """Fuse N takes; a missing modality is left out, which is the same as vacuous."""
        views = self._views(pair)
        fused = self._combined(views)
        return Answer(fused.projected, fused.uncertainty, largest_conflict(views))

    def risk(self, pair: Pair, truth: Classes) -> float:
        """Return the area under the risk-coverage curve over N takes, truth (N,)."""
        p = self._combined(self._views(pair)).projected
        return trust.aurc(p.argmax(axis=1) == truth, np.minimum(p.max(axis=1), 1.0))

    def _views(self, pair: Pair) -> list[Opinion]:
        return [
            self._opinion(said).discount(np.full(len(said.softmax), reliability))
            for said, reliability in ((pair.voice, self.voice), (pair.face, self.face))
            if said is not None
        ]

    def _combined(self, views: list[Opinion]) -> Opinion:
        return combine(discount_conflict(views) if self.discount else views, self.rule)

    def _opinion(self, said: Said) -> Opinion:
        if not self.posterior:
            return said.opinion
        belief = (1 - LEAST_UNCERTAINTY) * said.softmax
        return Opinion(belief, np.full(len(belief), LEAST_UNCERTAINTY))


def best(ways: list[Way], mixed: Pair, truth: Classes) -> Way:
    """Return the way of the least AURC over takes, with the reliabilities that make it so."""
    tried = [
        replace(way, voice=voice, face=face)
        for way in ways
        for voice, face in product(RELIABILITIES, repeat=2)
    ]
    return min(tried, key=lambda way: way.risk(mixed, truth))


def mix_pairs(mix: Mix, seen: Mapping[str, Pair], rows: Classes) -> Pair:
    """Return takes heard and seen, as `mixture` mixes them."""
    lots = deal(mix, seen, rows).items()
    voice = [said.at(lot) for name, lot in lots if (said := seen[name].voice)]
    face = [said.at(lot) for name, lot in lots if (said := seen[name].face)]
    return Pair(Said.joined(voice), Said.joined(face))


def mixture(mix: Mix, of: Mapping[str, npt.NDArray[Any]], rows: Classes) -> npt.NDArray[Any]:
    """Return each condition's values at the rows that are dealt to it."""
    return np.concatenate([of[name][lot] for name, lot in deal(mix, of, rows).items()])


def deal(mix: Mix, conditions: Collection[str], rows: Classes) -> dict[str, Classes]:
    """Deal rows out to those conditions that are there, each row once."""
    names = [name for name in mix if name in conditions]
    places = np.repeat(names, [mix[name] for name in names])
    lot = places[np.random.default_rng(0).permutation(len(rows)) % len(places)]
    return {name: rows[lot == name] for name in names}
