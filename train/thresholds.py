"""From which confidence on a verdict is trusted, for one set of present modalities."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from engines.manifest import Curve, Modality
from engines.verdict import Policy
from train.calibrate import rising
from train.certify import FEWEST, Certified, Uncertified, certify
from train.checks import Bools, Floats
from train.moments import SWAPPED, Fused, Moments, conditions, fuse, moments, shared, together
from train.views import CLEAN, View

MOMENTS: Final = 3000
"""Pairs matched by label that a set of several modalities is fitted and certified on, each."""
_MAJORITY: Final = 3
_ASKED: Final = 20
"""Trusted moments from which on a trial shows something."""
_POINTS: Final = 20
_RISE: Final = 1e-4
"""From point to point, so that a threshold of confidence is one of probability too."""

Views = Mapping[Modality, View]


def threshold(
    policy: Policy, fit: Views, test: Moments, target: float, delta: float
) -> Certified | Uncertified:
    """Return a probability from which verdicts are trusted, or why there is none.

    It is the lowest that `sturdy` finds on the people to fit on, or a higher one, where precision
    is certified on moments of other people.
    """
    least = sturdy(policy, fit, target)
    fused = fuse(policy, test)
    found = certify(
        fused.right,
        fused.probability,
        np.array(test.people),
        target=target,
        delta=delta,
        at_least=least or 0.0,
    )
    if isinstance(found, Certified) and least is None:
        return Uncertified(
            f"no threshold keeps a precision of {target:g} on each corpus and under each corruption"
        )
    return found


def sturdy(policy: Policy, views: Views, target: float) -> float | None:
    """Return the lowest probability from which no trial shows a precision below the target.

    Trials are clean moments, those of each corpus by itself, each corruption, and, of three
    modalities, where any one of them is swapped: of two that contradict each other nobody can
    tell which one is wrong. A trial that trusts fewer than 20 moments shows nothing; chance makes
    this stricter than it need be, not laxer. None where the strictest candidate fails.
    """
    trials = _trials(policy, views)
    clean, found = trials[0], None
    for candidate in np.unique(np.quantile(clean.probability, np.linspace(0, 1, 101)))[::-1]:
        if any(_falls_short(trial, candidate, target) for trial in trials):
            break
        if (clean.probability >= candidate).sum() >= FEWEST:
            found = float(candidate)
    return found


def _falls_short(trial: Fused, candidate: float, target: float) -> bool:
    trusted = trial.probability >= candidate
    return bool(trusted.sum() >= _ASKED and trial.right[trusted].mean() < target)


def _trials(policy: Policy, views: Views) -> list[Fused]:
    """Return the verdicts that `sturdy` looks at, the clean ones first."""

    def tried(part: Views, name: str) -> Fused:
        return fuse(policy, moments(part, name, MOMENTS, seed=2))

    names = conditions(list(views))
    trials = [tried(views, name) for name in names if not name.startswith(SWAPPED)]
    if len(views) >= _MAJORITY:
        trials.append(together([tried(views, name) for name in names if name.startswith(SWAPPED)]))
    for kind, view in views.items():
        parts = ({**views, kind: view.of(corpus)} for corpus in sorted(set(view.corpora)))
        trials += [tried(part, CLEAN) for part in parts if shared(part)]
    return trials


def confidence(right: Bools, probability: Floats) -> Curve:
    """Return the chance of being right at each probability from 0 to 1, strictly rising.

    Of verdicts: whether each is ``right`` (N,), and its highest fused ``probability`` (N,).
    """
    points = max(1, min(_POINTS, len(right) // FEWEST))
    x, y = rising(probability, right.astype(np.float64), points)
    place = np.array([0.0, *(at for at in x if 0 < at < 1), 1.0]).round(6)
    place = np.unique(place)
    height = np.interp(place, x, y) + _RISE * np.arange(len(place))
    return tuple(place.tolist()), tuple((height / max(1.0, height[-1])).round(6).tolist())
