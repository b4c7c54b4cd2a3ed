"""What is compared: one modality, simple ways to use both, and fusion by belief."""

from itertools import product

from benchmarks.ravdess_au.conditions import CONDITIONS, Pair, pairs
from benchmarks.ravdess_au.fusing import Answer, Way, best, mix_pairs, mixture
from benchmarks.ravdess_au.heads import Names
from benchmarks.ravdess_au.hearing import HEARD
from benchmarks.ravdess_au.saying import Sayings
from benchmarks.ravdess_au.takes import Classes
from benchmarks.ravdess_au.verdicts import Method
from engines.fusion import Rule
from train.views import CLEAN

_ALL = [Way(p, d, r) for p, d, r in product((True, False), (False, True), Rule)]


def methods(said: Sayings, truth: Classes, people: Names) -> dict[str, Method]:
    """Return every method by its name; those that choose how to fuse do so anew for each fold."""
    seen = pairs(said.voice, said.face, truth, people)
    mean = {n: Answer.plain((p.voice.softmax + p.face.softmax) / 2) for n, p in seen.items()}
    whole = {n: Answer.plain(said.joined[n].softmax) for n in CONDITIONS}
    truths = dict.fromkeys(seen, truth)
    mute = {CLEAN: Pair(None, said.face)}
    faceless = {name: Pair(said.voice[name], None) for name in HEARD}

    def fused(ways: list[Way], of: dict[str, Pair]) -> Method:
        def method(rows: Classes) -> dict[str, Answer]:
            way = best(ways, mix_pairs(seen, rows), mixture(truths, rows))
            return {name: way.fuse(pair) for name, pair in of.items()}

        return method

    product_as_is = [way for way in _ALL if way.discount and not way.posterior]
    return {
        "mean probability": lambda _: mean,
        "features as one": lambda _: whole,
        "belief, as in the policy": fused(product_as_is, seen),
        "belief": fused(_ALL, seen),
        "voice missing": fused(_ALL, mute),
        "face missing": fused(_ALL, faceless),
    }
