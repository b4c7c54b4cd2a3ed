"""What is compared: each method is fitted on the training part, then judges features."""

from collections.abc import Callable
from itertools import combinations
from typing import Final

import numpy as np
from sklearn.linear_model import LogisticRegression

from benchmarks.multiview import evidential
from benchmarks.multiview.data import Features, Views
from benchmarks.multiview.kernel import Geometry, KernelRidge
from engines.fusion import Rule, combine, conflict, discount_conflict
from engines.opinion import LEAST_UNCERTAINTY, Opinion
from train.calibrate import Float

RELIABILITY: Final = 0.8
"""How far any source is trusted, whatever it says: views may be spoiled where they are used."""

Judge = Callable[[Features], dict[str, Float]]
"""Features of N samples → by method, the probability (N, K) of each class."""


def logistic(train: Views, seed: int) -> Judge:
    """Fit plain logistic regressions: all features in one, and one a view, averaged."""
    del seed  # it has one optimum
    whole = _regression(np.hstack(train.features), train)
    single = [_regression(x, train) for x in train.features]

    def judge(features: Features) -> dict[str, Float]:
        each = [m.predict_proba(x) for m, x in zip(single, features, strict=True)]
        return {
            "concatenated LR": whole.predict_proba(np.hstack(features)),
            "mean-probability LR": np.mean(each, axis=0),
        }

    return judge


def evidence(train: Views, seed: int) -> Judge:
    """Fit EDL on all features, and the rules of TMC and ECML on a net a view."""
    together = Views((np.hstack(train.features),), train.truth)
    edl = evidential.fit(together, seed, evidential.average)
    tmc = evidential.fit(train, seed, evidential.dempster)
    ecml = evidential.fit(train, seed, evidential.average, conflict_weight=1.0)

    def judge(features: Features) -> dict[str, Float]:
        whole = (np.hstack(features),)
        return {
            "EDL, concatenated": evidential.probabilities(edl, whole, Rule.AVERAGING),
            "TMC's rule": evidential.probabilities(tmc, features, Rule.DEMPSTER),
            "ECML's rule": evidential.probabilities(ecml, features, Rule.AVERAGING),
        }

    return judge


def ours(train: Views, seed: int) -> Judge:
    """Fit a source a view, and one for all views where that is better than any of them.

    Their opinions are discounted by reliability and by conflict, then combined by Dempster's
    rule, as `engines.verdict` does; the other rows show what each part is worth.
    """
    del seed  # it has one optimum
    geometry = Geometry(train.features)
    sources = _sources(geometry, train)

    def judge(features: Features) -> dict[str, Float]:
        distances = geometry.to(features)
        said = [source.probabilities(distances) for source in sources]
        opinions = [most_uncertain(p).discount(RELIABILITY) for p in said]
        discounted = discount_conflict(opinions)
        return {
            "ours": combine(discounted, Rule.DEMPSTER).projected,
            "ours, averaging": combine(discounted, Rule.AVERAGING).projected,
            "ours, conflict by pairs": combine(_by_pairs(opinions), Rule.DEMPSTER).projected,
            "ours, no conflict discount": combine(opinions, Rule.DEMPSTER).projected,
            "ours, mean probability": np.mean(said, axis=0),
        }

    return judge


FAMILIES: Final = (logistic, evidence, ours)


def most_uncertain(probability: Float) -> Opinion:
    """Return the opinion with these probabilities (N, K) and the least belief that has them.

    u = K·min p, b = p - min p (Jøsang 2016, uncertainty maximisation). What a classifier holds
    possible everywhere it does not know.
    """
    least = probability.min(axis=1)
    uncertainty = np.clip(probability.shape[1] * least, LEAST_UNCERTAINTY, 1.0)
    belief = probability - least[:, None]
    total = np.maximum(belief.sum(axis=1), np.finfo(np.float64).tiny)
    return Opinion(belief * ((1 - uncertainty) / total)[:, None], uncertainty)


def _sources(geometry: Geometry, train: Views) -> list[KernelRidge]:
    views = range(len(train.features))
    sources = [KernelRidge.fit((v,), geometry.within, train.truth) for v in views]
    whole = KernelRidge.fit(tuple(views), geometry.within, train.truth)
    better = all(_right(whole, train) > _right(source, train) for source in sources)
    return [*sources, whole] if better else sources


def _right(source: KernelRidge, train: Views) -> float:
    return float((source.left_out.argmax(axis=1) == train.truth).mean())


def _by_pairs(opinions: list[Opinion]) -> list[Opinion]:
    """Discount by t_i = Π_{j≠i}(1 - DC_ij), where two that agree do not overrule a third."""
    trusts = [np.ones_like(opinion.uncertainty) for opinion in opinions]
    for i, j in combinations(range(len(opinions)), 2):
        left = np.clip(1.0 - conflict(opinions[i], opinions[j]), 0.0, 1.0)
        trusts[i], trusts[j] = trusts[i] * left, trusts[j] * left
    return [opinion.discount(trust) for opinion, trust in zip(opinions, trusts, strict=True)]


def _regression(x: Float, train: Views) -> LogisticRegression:
    return LogisticRegression(C=10.0, max_iter=1000).fit(x, train.truth)
