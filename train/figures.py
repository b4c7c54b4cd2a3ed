"""What decisions about anyone's samples are worth: right, as sure as right, and trusted."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from rich.console import Console
from rich.progress import track

from engines.labels import EMOTIONS, Emotion
from train import trust
from train.checks import Bools, Floats, Indices
from train.metrics import Classes, scores
from train.resample import percentiles, resamples

PRECISIONS: Final = (80, 90, 95)
"""Percent, at which the coverage is told."""
DRAWS: Final = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """What was made of one sample."""

    label: Emotion
    """What is true."""
    group: str
    """Who is seen or heard; empty where nobody is named."""
    emotion: Emotion | None
    """What was decided; None, which is wrong, where there was no evidence."""
    probability: Floats
    """(7,) of each emotion, sum 1."""
    confidence: float
    """In [0, 1]."""
    certified: bool
    """A certified threshold decided on trust."""
    trusted: bool


@dataclass(frozen=True, slots=True, eq=False)
class Decisions:
    """Many decisions, as arrays over them."""

    truth: Classes
    guess: Classes
    """-1 where there is no decision."""
    probability: Floats
    confidence: Floats
    certified: Bools
    trusted: Bools
    groups: Indices
    """Alike for the same person; nobody's are each somebody of their own."""
    names: tuple[str, ...]
    """The groups that have a name, in the order of their numbers from 0."""

    @classmethod
    def of(cls, decisions: Sequence[Decision]) -> "Decisions":
        """Stack at least one decision."""
        names = tuple(dict.fromkeys(d.group for d in decisions if d.group))
        number = {name: i for i, name in enumerate(names)}
        own = itertools.count(len(names))
        return cls(
            truth=np.array([EMOTIONS.index(d.label) for d in decisions]),
            guess=np.array([EMOTIONS.index(d.emotion) if d.emotion else -1 for d in decisions]),
            probability=np.stack([d.probability for d in decisions]),
            confidence=np.array([d.confidence for d in decisions]),
            certified=np.array([d.certified for d in decisions]),
            trusted=np.array([d.trusted for d in decisions]),
            groups=np.array([number[d.group] if d.group else next(own) for d in decisions]),
            names=names,
        )

    @property
    def correct(self) -> Bools:
        """(N,) which are right."""
        right: Bools = self.guess == self.truth
        return right

    def take(self, chosen: Indices) -> "Decisions":
        """Return some of them, in an order."""
        return Decisions(
            self.truth[chosen],
            self.guess[chosen],
            self.probability[chosen],
            self.confidence[chosen],
            self.certified[chosen],
            self.trusted[chosen],
            self.groups[chosen],
            self.names,
        )


def measure(d: Decisions) -> dict[str, float | None]:
    """Return every figure of at least one decision; None where it is undefined.

    `trusted_*` and `coverage` are of the policy's own verdicts, not of a threshold chosen on these
    samples: null and 0 where the policy certifies nothing for them. `best_trusted_f1` is of TER's
    threshold, chosen on these very samples, and flatters; `trust_everything_f1` is its floor.
    """
    right, sure = d.correct, d.confidence
    best = trust.best_threshold(right, sure)
    return {
        **scores(d.truth, d.guess),
        "ece": trust.ece(right, sure),
        "adaptive_ece": trust.adaptive_ece(right, sure),
        "nll": trust.nll(d.probability, d.truth),
        "brier": trust.brier(d.probability, d.truth),
        "error_auroc": trust.error_auroc(right, sure),
        "aurc": trust.aurc(right, sure),
        "e_aurc": trust.e_aurc(right, sure),
        "augrc": trust.augrc(right, sure),
        **{f"coverage_at_{p}": trust.coverage_at(right, sure, p / 100) for p in PRECISIONS},
        **_trusted(d),
        "best_threshold": best,
        "best_trusted_f1": trust.trusted(right, sure, best).f1,
        "trust_everything_f1": trust.trust_everything_f1(right),
    }


def intervals(d: Decisions) -> dict[str, tuple[float, float] | None]:
    """Return the 95 % interval of every figure, drawing whole people; nothing of one person.

    Progress goes to standard error.
    """
    if len(np.unique(d.groups)) < 2:
        return {}
    d = d.take(np.argsort(-d.confidence, kind="stable"))  # what is in order is sorted faster
    chosen = track(
        resamples(d.groups, DRAWS, seed=0), "intervals", DRAWS, console=Console(stderr=True)
    )
    drawn = [measure(d.take(some)) for some in chosen]
    return {name: percentiles([f[name] for f in drawn], 0.95) for name in drawn[0] if name != "n"}


def by_group(d: Decisions) -> dict[str, dict[str, float | None]]:
    """Return the figures of every group that has a name."""
    return {name: measure(d.take(np.flatnonzero(d.groups == i))) for i, name in enumerate(d.names)}


def _trusted(d: Decisions) -> dict[str, float | None]:
    if not d.certified.any():
        names = ("trusted_precision", "trusted_recall", "trusted_f1", "trusted_accuracy")
        return {**dict.fromkeys(names), "coverage": 0.0}
    found = trust.trusted(d.correct, d.trusted.astype(np.float64), 1.0)
    return {
        "trusted_precision": found.precision,
        "trusted_recall": found.recall,
        "trusted_f1": found.f1,
        "trusted_accuracy": found.accuracy,
        "coverage": found.coverage,
    }
