"""A site's own thresholds: a policy, certified again on the site's own recordings."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from engines.engine import Engine
from engines.labels import EMOTIONS
from engines.manifest import Modality
from engines.opinion import Opinion
from engines.quality import Quality
from engines.verdict import joined
from train.bundle import check_place
from train.certify import FEWEST, Certified, Uncertified, certify, check_promise
from train.data.table import Table, open_table
from train.evaluate import open_judges
from train.moments import Fused, Moments, fuse
from train.policy import Fitted, confident, digest, save, stored
from train.prepare import judged
from train.thresholds import confidence
from train.views import stacked


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What a site's recordings certify."""

    found: Mapping[str, Certified | Uncertified]
    """By the modalities that rows have, sorted and joined by +."""
    unreadable: tuple[str, ...]
    """What was wrong with each row that was left out, at most 1 % of them."""


def calibrate(
    bundles: Sequence[Path], data: Path, output: Path, *, target: float, delta: float
) -> Calibrated:
    """Write a policy whose confidences and thresholds come from a table of real moments.

    How opinions are weighed stays as in the policy among the bundles, or the shipped one if it
    was made for these engines; so does all that is said of modalities that fewer than 50 rows
    have. Raises what `open_judges`, `open_table` and `save` raise, and TrustError for an
    impossible promise.
    """
    check_promise(target, delta)
    check_place(output, "policy")
    judges = open_judges(bundles)
    table = open_table(data, *judges.engines)
    policy, found = judges.policy, {}
    for name, seen in _seen(judges.engines, table).items():
        fused = fuse(policy, seen)
        found[name] = _certified(fused, seen.people, target, delta)
        if len(seen.truth) < FEWEST:
            policy = replace(policy, thresholds={name: None, **policy.thresholds})
            continue
        curve = confidence(fused.right, fused.probability)
        found[name] = confident(curve, found[name])
        threshold = stored(found[name], digest(seen), "paired")
        policy = replace(
            policy,
            calibration={**policy.calibration, name: curve},
            thresholds={**policy.thresholds, name: threshold},
        )
    save(Fitted(policy, found), output, data.stem, judges.engines)
    return Calibrated(found, tuple(table.unreadable))


def _certified(
    fused: Fused, people: Sequence[str], target: float, delta: float
) -> Certified | Uncertified:
    if not all(people):
        return Uncertified(
            f"{people.count('')} rows do not say who is seen or heard, and one person's repeat each"
            f" other; name the person in a column group"
        )
    return certify(fused.right, fused.probability, np.array(people), target=target, delta=delta)


@dataclass(slots=True)
class _Pile:
    """Judged rows that have the same modalities."""

    judged: dict[Modality, list[tuple[Opinion, Quality]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    truth: list[int] = field(default_factory=list)
    people: list[str] = field(default_factory=list)


def _seen(engines: Mapping[Modality, Engine], table: Table) -> dict[str, Moments]:
    """Return a table's rows, judged, by the modalities that they have."""
    piles: dict[str, _Pile] = defaultdict(_Pile)
    rows = track(table.items(), table.path.name, len(table.rows), console=Console(stderr=True))
    for row, items in rows:
        pile = piles[joined(items)]
        pile.truth.append(EMOTIONS.index(row.label))
        pile.people.append(row.group)
        for kind, item in items.items():
            pile.judged[kind].append(judged(engines[kind], item))
    return {
        name: Moments(
            {kind: stacked(kind, judged) for kind, judged in pile.judged.items()},
            np.array(pile.truth),
            tuple(pile.people),
        )
        for name, pile in piles.items()
    }
