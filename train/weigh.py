"""How far to trust each modality, and by which rule to combine them, fitted on held-out people."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

import numpy as np

from engines.fusion import Rule
from engines.labels import EMOTIONS
from engines.manifest import Curve, Modality
from engines.verdict import Policy
from train import trust
from train.calibrate import rising
from train.checks import Floats
from train.moments import Moments, fuse
from train.views import CLEAN, View

_CHANCE: Final = 1 / len(EMOTIONS)
_POINTS: Final = 15
_KNOWN_TO: Final = 200
"""Inputs of which a measure must be known, for a curve."""
_TELLS: Final = 0.02
"""By how much trust must fall for a measure to say anything."""
_RELIABILITIES: Final = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


def curves(view: View) -> dict[str, Curve]:
    """Return for each measure the trust at its values: how much of the best accuracy is left.

    t(x) = (accuracy(x) - 1/K) / (accuracy of clean samples - 1/K), at most 1; accuracy(x) never
    falls, by isotonic regression over clean and corrupted samples alike. Ours. A measure that is
    not known, or that says nothing, has no curve.
    """
    looks = list(view.looks.values())
    right = np.concatenate([look.opinion.belief.argmax(axis=1) == view.truth for look in looks])
    found = {}
    for name, clean in view.looks[CLEAN].quality.items():
        place = np.concatenate([look.quality[name] for look in looks])
        curve = _curve(place, right.astype(np.float64), clean)
        if curve is not None:
            found[name] = curve
    return found


def combination(seen: Moments, policy: Policy) -> Policy:
    """Return the policy with the rule and the reliabilities of the least AURC over moments.

    Reliabilities are searched one after the other, twice around, from 1 down.
    """
    found = [_reliable(seen, replace(policy, rule=rule)) for rule in Rule]
    return min(found, key=lambda policy: risk(policy, seen))


def risk(policy: Policy, seen: Moments) -> float:
    """Return the area under the risk-coverage curve of a policy's verdicts on moments."""
    fused = fuse(policy, seen)
    return trust.aurc(fused.right, fused.probability)


def _reliable(seen: Moments, policy: Policy) -> Policy:
    kinds: Iterable[Modality] = [*seen.looks] * 2
    for kind in kinds:
        tried = [
            replace(policy, reliability={**policy.reliability, kind: r}) for r in _RELIABILITIES
        ]
        policy = min(reversed(tried), key=lambda one: risk(one, seen))
    return policy


def _curve(place: Floats, right: Floats, clean: Floats) -> Curve | None:
    known = np.isfinite(place)
    if known.sum() < _KNOWN_TO:
        return None
    x, y = rising(place[known], right[known], _POINTS)
    best = float(np.interp(clean, x, y).mean()) - _CHANCE
    trust_at = np.clip((np.array(y) - _CHANCE) / max(best, 1e-9), 0.0, 1.0)
    if trust_at.max() - trust_at.min() < _TELLS:
        return None
    return x, tuple(trust_at.round(4).tolist())
