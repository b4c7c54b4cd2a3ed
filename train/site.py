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
from engines.manifest import Modality, sha256
from engines.opinion import Opinion
from engines.quality import Quality
from engines.quality import measure as quality
from train.certify import FEWEST, certify
from train.data.table import open_table
from train.evaluate import open_judges
from train.moments import Moments, fuse
from train.policy import Fitted, confident, save, stored
from train.prepare import window
from train.thresholds import confidence
from train.views import stacked


def calibrate(
    bundles: Sequence[Path], data: Path, output: Path, *, target: float, delta: float
) -> Fitted:
    """Write a policy whose confidences and thresholds come from a table of real moments.

    How opinions are weighed stays as in the policy among the bundles, or the shipped one if it
    was made for these engines; what the table does not show stays as there, too. Raises what
    `open_judges`, `open_table` and `save` raise, and TrustError for an impossible target.
    """
    judges = open_judges(bundles)
    policy, found = judges.policy, {}
    for name, seen in _seen(judges.engines, data).items():
        fused = fuse(policy, seen)
        right, people = fused.right.astype(bool), np.array(seen.people)
        certified = certify(right, fused.probability, people, target=target, delta=delta)
        if len(right) >= FEWEST:
            curve = confidence(fused)
            policy = replace(policy, calibration={**policy.calibration, name: curve})
            certified = confident(curve, certified)
        found[name] = certified
        threshold = stored(certified, sha256(data), "paired")
        policy = replace(policy, thresholds={**policy.thresholds, name: threshold})
    fitted = Fitted(policy, found)
    save(fitted, output, data.stem, judges.engines)
    return fitted


@dataclass(slots=True)
class _Pile:
    """Judged rows that have the same modalities."""

    judged: dict[Modality, list[tuple[Opinion, Quality]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    truth: list[int] = field(default_factory=list)
    people: list[str] = field(default_factory=list)


def _seen(engines: Mapping[Modality, Engine], data: Path) -> dict[str, Moments]:
    """Return a table's rows, judged, by the modalities that they have."""
    table = open_table(data, *engines)
    piles: dict[str, _Pile] = defaultdict(_Pile)
    rows = track(table.items(), data.name, len(table.rows), console=Console(stderr=True))
    for i, (row, items) in enumerate(rows):
        pile = piles["+".join(sorted(items))]
        pile.truth.append(EMOTIONS.index(row.label))
        pile.people.append(row.group or f"row {i}")
        for kind, item in items.items():
            seen = window(kind, item)
            pile.judged[kind].append((engines[kind].judge(seen), quality(seen)))
    return {
        name: Moments(
            {kind: stacked(kind, judged) for kind, judged in pile.judged.items()},
            np.array(pile.truth),
            tuple(pile.people),
        )
        for name, pile in piles.items()
    }
