"""What is compared: one modality, simple ways to use both, and fusion by belief."""

from itertools import product

import numpy as np

from benchmarks.ravdess_au.conditions import CONDITIONS, Pair, pairs
from benchmarks.ravdess_au.fusing import NOISY, SWAPPING, Answer, Mix, Way, best, mix_pairs, mixture
from benchmarks.ravdess_au.heads import Names
from benchmarks.ravdess_au.hearing import HEARD
from benchmarks.ravdess_au.saying import Sayings
from benchmarks.ravdess_au.takes import Classes, Floats
from benchmarks.ravdess_au.verdicts import Method
from engines.fusion import Rule
from train.views import CLEAN

_ALL = [Way(p, d, r) for p, d, r in product((True, False), (False, True), Rule)]
_POLICY = [way for way in _ALL if way.discount and not way.posterior]
"""Opinions and conflict as in the product."""


def methods(said: Sayings, truth: Classes, people: Names) -> dict[str, Method]:
    """Return every method by its name; those that choose how to fuse do so anew for each fold."""
    seen = pairs(said.voice, said.face, truth, people)
    mean = {n: Answer.plain(_mean(pair)) for n, pair in seen.items()}
    whole = {n: Answer.plain(said.joined[n].softmax) for n in CONDITIONS}
    mute = {CLEAN: Pair(None, said.face)}
    faceless = {name: Pair(said.voice[name], None) for name in HEARD}

    def fused(of: dict[str, Pair], mix: Mix = NOISY, ways: list[Way] = _ALL) -> Method:
        truths = dict.fromkeys(seen, truth)

        def answer(rows: Classes) -> dict[str, Answer]:
            way = best(ways, mix_pairs(mix, seen, rows), mixture(mix, truths, rows))
            return {name: way.fuse(pair) for name, pair in of.items()}

        return Method(answer, mix)

    return {
        "action units alone": fused(mute),
        "voice alone": fused(faceless),
        "mean probability": Method(lambda _: mean, NOISY),
        "features as one": Method(lambda _: whole, NOISY),
        "belief": fused(seen),
        "belief, as in the product": fused(seen, ways=_POLICY),
        "belief, prepared for swapped faces": fused(seen, SWAPPING),
    }


def _mean(pair: Pair) -> Floats:
    said = [one.softmax for one in (pair.voice, pair.face) if one is not None]
    return np.asarray(np.mean(said, axis=0))
