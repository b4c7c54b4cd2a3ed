"""Confidence and trust, fitted and certified on other people than those who are judged."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from benchmarks.ravdess_au.fusing import Answer, Mix, mixture
from benchmarks.ravdess_au.heads import Names
from benchmarks.ravdess_au.takes import Classes, Floats
from engines.verdict import read_off
from train.certify import Certified, certify
from train.checks import Bools
from train.data.samples import fold_of
from train.thresholds import confidence

TARGET: Final = 0.9
DELTA: Final = 0.05


@dataclass(frozen=True, slots=True)
class Method:
    """A way to judge takes, and what it is prepared for."""

    answer: Callable[[Classes], Mapping[str, Answer]]
    """Indices of the takes that it may be fitted on → its answers for all takes, by condition."""
    mix: Mix
    """The conditions under which it is fitted, calibrated and certified."""


@dataclass(frozen=True, slots=True, eq=False)
class Verdicts:
    """What is decided about n takes under one condition."""

    guess: Classes
    sure: Floats
    """(n,) in [0, 1], the calibrated probability of being right."""
    trusted: Bools
    uncertainty: Floats
    """(n,) in [0, 1]; NaN where there are no opinions."""
    conflict: Floats
    """(n,) in [0, 1]; NaN likewise."""


def verdicts(method: Method, truth: Classes, people: Names, fold: Classes) -> dict[str, Verdicts]:
    """Let a method judge each fold's takes, fitted on the people of all the others.

    A third of those people choose how it fuses, the others certify its threshold, and all of them
    calibrate its confidence.
    """
    folds = np.unique(fold)
    parts = [_of_fold(method, truth, people, fold == k) for k in folds]
    back = np.argsort(np.concatenate([np.flatnonzero(fold == k) for k in folds]))
    return {
        name: Verdicts(
            *(
                np.concatenate([getattr(part[name], field) for part in parts])[back]
                for field in Verdicts.__dataclass_fields__
            )
        )
        for name in parts[0]
    }


def _of_fold(method: Method, truth: Classes, people: Names, own: Bools) -> dict[str, Verdicts]:
    others = np.flatnonzero(~own)
    third = fold_of(people[others].tolist(), 3)
    answers = method.answer(others[third == 0])
    guess = {name: a.probability.argmax(axis=1) for name, a in answers.items()}
    right = {name: g == truth for name, g in guess.items()}
    top = {name: np.minimum(a.probability.max(axis=1), 1.0) for name, a in answers.items()}
    curve = confidence(mixture(method.mix, right, others), mixture(method.mix, top, others))
    test = others[third > 0]
    found = certify(
        *(mixture(method.mix, of, test) for of in (right, top, dict.fromkeys(answers, people))),
        target=TARGET,
        delta=DELTA,
    )
    least = found.confidence if isinstance(found, Certified) else np.inf
    return {
        name: Verdicts(
            guess[name][own],
            read_off(curve, top[name][own]),
            top[name][own] >= least,
            a.uncertainty[own],
            a.conflict[own],
        )
        for name, a in answers.items()
    }
