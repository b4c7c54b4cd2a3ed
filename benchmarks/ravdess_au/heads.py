"""Features of a take → an opinion over eight emotions, and a plain softmax beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.ravdess_au.takes import EMOTIONS, Classes, Floats
from engines.opinion import Opinion
from train.calibrate import surprise, temperature
from train.data.samples import fold_of
from train.density import Gaussians, gaussians
from train.measure import Rows, fit_head
from train.models import build_head
from train.recipe import CalibratedHead

STRENGTHS: Final = (0.003, 0.01, 0.03, 0.1)
"""Logistic regression's C. Which one is chosen on people that it was not fitted on."""
_INNER: Final = 5
_ITERATIONS: Final = 500

Names = npt.NDArray[np.str_]


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """What is said of n takes."""

    opinion: Opinion
    """(n, 8)"""
    softmax: Floats
    """(n, 8) softmax(logits / T)"""

    def at(self, rows: Classes) -> "Said":
        """Return some of the takes, in an order."""
        belief, uncertainty = self.opinion.belief[rows], self.opinion.uncertainty[rows]
        return Said(Opinion(belief, uncertainty), self.softmax[rows])

    @classmethod
    def joined(cls, parts: Sequence["Said"]) -> "Said":
        """Return the takes of all parts, one after the other."""
        belief, uncertainty, plain = (
            np.concatenate(arrays)
            for arrays in zip(
                *((p.opinion.belief, p.opinion.uncertainty, p.softmax) for p in parts), strict=True
            )
        )
        return cls(Opinion(belief, uncertainty), plain)


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """N takes of people to train on."""

    features: Floats
    """(N, D)"""
    truth: Classes
    people: Names


@dataclass(frozen=True, slots=True, eq=False)
class Tuned:
    """The product's head `calibrated`, and the strength that it was fitted for."""

    strength: float
    heat: float
    head: torch.nn.Module

    def say(self, logits: Floats, features: Floats) -> Said:
        """Return what logits (n, 8) of scaled features (n, D) say."""
        with torch.inference_mode():
            evidence = self.head(_tensor(logits), _tensor(features)).double().numpy()
        return Said(Opinion.from_evidence(evidence), softmax(logits / self.heat, axis=1))


def cross_fitted(known: Known, new: Floats) -> Said:
    """Judge takes (n, D) of new people; strength and trust come from folds of the known ones."""
    fold = fold_of(known.people.tolist(), _INNER)
    logits = {c: np.empty((len(fold), len(EMOTIONS))) for c in STRENGTHS}
    for strength in STRENGTHS:
        for k in range(_INNER):
            model = _fitted(known.features[fold != k], known.truth[fold != k], strength)
            logits[strength][fold == k] = model.decision_function(known.features[fold == k])
    scale = StandardScaler().fit(known.features)
    features = scale.transform(known.features)
    tuned = _tuned(logits, features, known.truth, _density(features, known.truth))
    model = _fitted(known.features, known.truth, tuned.strength)
    return tuned.say(model.decision_function(new), scale.transform(new))


def met_anew(
    known: Known, new: Mapping[str, Floats], truth: Classes, people: Names, trust_on: Sequence[str]
) -> dict[str, Said]:
    """Judge takes of new people, by condition (n, D), where the known ones look too familiar.

    A network has learned its training voices by heart, so strength and trust of each person's
    judge come from the takes (n,) of the *other* new people under the conditions ``trust_on``.
    """
    models = {c: _fitted(known.features, known.truth, c) for c in STRENGTHS}
    scale = StandardScaler().fit(known.features)
    density = _density(scale.transform(known.features), known.truth)
    seen = {name: scale.transform(x) for name, x in new.items()}
    logits = {n: {c: m.decision_function(x) for c, m in models.items()} for n, x in new.items()}
    order, parts = [], {name: list[Said]() for name in new}
    for who in np.unique(people):
        own, others = np.flatnonzero(people == who), np.flatnonzero(people != who)
        tuned = _tuned(
            {c: np.concatenate([logits[n][c][others] for n in trust_on]) for c in STRENGTHS},
            np.concatenate([seen[n][others] for n in trust_on]),
            np.tile(truth[others], len(trust_on)),
            density,
        )
        order.append(own)
        for name, said in parts.items():
            said.append(tuned.say(logits[name][tuned.strength][own], seen[name][own]))
    return {
        name: Said.joined(said).at(np.argsort(np.concatenate(order)))
        for name, said in parts.items()
    }


def _tuned(
    logits: Mapping[float, Floats], features: Floats, truth: Classes, density: Gaussians
) -> Tuned:
    """Choose the strength of the likeliest truth, and fit the head for it."""
    heats = {c: temperature(z, truth) for c, z in logits.items()}
    best = min(logits, key=lambda c: surprise(logits[c] / heats[c], truth))
    how = CalibratedHead()
    fitted = fit_head(how, Rows(_tensor(logits[best]), _tensor(features), truth), density)
    return Tuned(best, heats[best], build_head(how, fitted))


def _fitted(features: Floats, truth: Classes, strength: float) -> Pipeline:
    classifier = LogisticRegression(C=strength, max_iter=_ITERATIONS, tol=1e-3)
    return make_pipeline(StandardScaler(), classifier).fit(features, truth)


def _density(features: Floats, truth: Classes) -> Gaussians:
    return gaussians(features, np.eye(len(EMOTIONS))[truth])


def _tensor(x: Floats) -> torch.Tensor:
    return torch.from_numpy(x).float()
