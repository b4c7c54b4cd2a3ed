"""The policy of a set of engines, fitted and certified on people that none was trained on."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import combinations
from pathlib import Path
from typing import Final

import numpy as np

from engines.engine import Engine, open_engine
from engines.fusion import Rule
from engines.manifest import (
    Basis,
    Curve,
    Modality,
    PolicyManifest,
    Threshold,
    sha256,
    write_manifest,
)
from engines.verdict import MODALITIES, Policy, joined, read_off
from train.bundle import ExportError, check_place, replacing
from train.card import licence_of, policy_card
from train.certify import Certified, Uncertified, check_promise
from train.data.samples import DataError, fold_of
from train.moments import Moments, fuse, mixture, shared
from train.prepare import read_part
from train.recipe import Recipe, parse_recipe
from train.thresholds import MOMENTS, Views, confidence, threshold
from train.views import View, view
from train.weigh import combination, curves

FIFTHS: Final = 5
"""Of an engine's own validation people: two to fit on, two to certify on, one to measure on."""
_PAIRABLE: Final = 2


@dataclass(frozen=True, slots=True)
class Fitted:
    """A policy, and what certifies each set of modalities that was tried, or why nothing does."""

    policy: Policy
    found: Mapping[str, Certified | Uncertified]
    """By the modalities, sorted and joined by +; thresholds are of confidence."""


def write_policy(
    bundles: Sequence[Path], data: Path, output: Path, *, target: float = 0.9, delta: float = 0.05
) -> Fitted:
    """Fit and write the policy of engines of different kinds, on their corpora's held-out people.

    Engines trained in folds may be named beside the one that they stand for: then the opinions
    of each on the people that it never met are fitted on instead. Progress goes to standard
    error. Raises ExportError for two of one kind, and what reading data and bundles raises.
    """
    check_promise(target, delta)
    check_place(output, "policy")
    engines = [(engine, recipe_of(engine)) for engine in map(open_engine, bundles)]
    shipped = {e.manifest.kind: e for e, recipe in engines if recipe.fold is None}
    if len(shipped) < sum(recipe.fold is None for _, recipe in engines) or not shipped:
        raise ExportError(output, "name one engine of each kind, beside those trained in folds")
    folds = {kind: [(e, r) for e, r in engines if r.fold and r.kind == kind] for kind in MODALITIES}
    for kind, some in folds.items():
        of = [recipe.fold for _, recipe in some]
        if sorted(filter(None, of)) != [(k, len(of)) for k in range(1, len(of) + 1)]:
            raise ExportError(output, f"the {kind} needs all of its folds, each of them once")
        if some and kind not in shipped:
            raise ExportError(output, f"name the {kind} engine that its folds stand for")
    views = {
        kind: _halves(shipped[kind], [e for e, _ in folds[kind]], data)
        for kind in MODALITIES
        if kind in shipped
    }
    fit, test = ({kind: halves[i] for kind, halves in views.items()} for i in (0, 1))
    if len(views) > 1 and min(len(shared(fit)), len(shared(test))) < _PAIRABLE:
        raise DataError(data, "the modalities share fewer than two emotions, which pairs none")
    fitted = fit_policy(fit, test, target, delta)
    save(fitted, output, output.name, shipped)
    return fitted


def fit_policy(fit: Views, test: Views, target: float, delta: float) -> Fitted:
    """Fit trust, rule and confidences, and certify a threshold for each set of modalities.

    ``fit`` and ``test`` are of different people. Confidences are fitted on both, which moves no
    certificate: that is about the order of verdicts, and confidences keep it.
    """
    policy = Policy("fitted", "", Rule.DEMPSTER, {}, {}, {k: curves(v) for k, v in fit.items()})
    policy = combination(mixture(fit, MOMENTS, seed=1), policy)
    found, calibration, thresholds = {}, {}, {}
    for kinds in (some for n in range(1, len(fit) + 1) for some in combinations(fit, n)):
        own, others = ({kind: views[kind] for kind in kinds} for views in (fit, test))
        both = mixture(own, MOMENTS, seed=4) + mixture(others, MOMENTS, seed=5)
        tested, name = mixture(others, MOMENTS, seed=3), joined(kinds)
        fused = fuse(policy, both)
        calibration[name] = confidence(fused.right, fused.probability)
        found[name] = confident(calibration[name], threshold(policy, own, tested, target, delta))
        basis: Basis = "label-matched" if len(kinds) > 1 else "paired"
        thresholds[name] = stored(found[name], digest(tested), basis)
    return Fitted(replace(policy, calibration=calibration, thresholds=thresholds), found)


def stored(found: Certified | Uncertified, data: str, basis: Basis) -> Threshold | None:
    """Return what a policy keeps of a certificate that rests on data of a SHA-256."""
    if isinstance(found, Uncertified):
        return None
    return Threshold(
        # Rounded down to the decimals that events have.
        confidence=math.floor(found.confidence * 1e9) / 1e9,
        target=found.target,
        delta=found.delta,
        n=found.n,
        data=data,
        basis=basis,
    )


def save(fitted: Fitted, output: Path, name: str, engines: Mapping[Modality, Engine]) -> None:
    """Write a policy's bundle, with its card; raises ExportError."""
    policy = fitted.policy
    manifest = PolicyManifest(
        format=2,
        kind="policy",
        name=name,
        engines={kind: engine.hash for kind, engine in engines.items()},
        rule=policy.rule,
        reliability={kind: policy.reliability.get(kind, 1.0) for kind in engines},
        quality={kind: dict(curves) for kind, curves in policy.quality.items()},
        calibration=dict(policy.calibration),
        thresholds=dict(policy.thresholds),
        licence=licence_of({kind: e.manifest.licence for kind, e in engines.items()}),
        files={},
    )
    with replacing(output, "policy") as folder:
        card = folder / "MODEL_CARD.md"
        card.write_text(policy_card(manifest, fitted.found), encoding="utf-8")
        write_manifest(folder, manifest.model_copy(update={"files": {card.name: sha256(card)}}))


def digest(seen: Moments) -> str:
    """Return the SHA-256 of moments' truths and beliefs."""
    whole = hashlib.sha256(seen.truth.tobytes())
    for look in seen.looks.values():
        whole.update(look.opinion.belief.tobytes())
    return whole.hexdigest()


def recipe_of(engine: Engine) -> Recipe:
    """Return the recipe that an engine was made by; raise RecipeError where it holds none."""
    return parse_recipe(engine.manifest.training.recipe, engine.path)


def confident(curve: Curve, found: Certified | Uncertified) -> Certified | Uncertified:
    """Return a certificate of probability as one of the confidence that a curve makes of it."""
    if isinstance(found, Uncertified):
        return found
    return replace(found, confidence=float(read_off(curve, found.confidence)))


def _halves(engine: Engine, folds: Sequence[Engine], data: Path) -> tuple[View, View]:
    """Return views of the people to fit on and of others to certify on, of each corpus both."""
    fit, test = [], []
    for name in recipe_of(engine).data:
        own = read_part(recipe_of(engine), name, data, "valid")
        if folds:
            seen = _met_in_folds(folds, name, set(own.people), data)
            half = fold_of(seen.people, 2)
        else:
            seen = view(engine, own, name)
            half = fold_of(seen.people, FIFTHS) // 2  # the last fifth is in neither
        fit.append(seen.at(np.flatnonzero(half == 0)))
        test.append(seen.at(np.flatnonzero(half == 1)))
        if not (fit[-1].people and test[-1].people):
            raise DataError(data, f"{name} holds out too few people; four at least are needed")
    return reduce(View.__add__, fit), reduce(View.__add__, test)


def _met_in_folds(folds: Sequence[Engine], name: str, but: set[str], data: Path) -> View:
    """Return what each fold's engine makes of the people that it never met, but for some."""
    views = []
    for fold in folds:
        met = read_part(recipe_of(fold), name, data, "valid")
        others = np.flatnonzero([bool(who) and who not in but for who in met.people])
        if len(others):
            views.append(view(fold, met.take(others), name))
    if not views:
        raise DataError(data, f"{name} names nobody whom folds could tell apart; name no folds")
    return reduce(View.__add__, views)
