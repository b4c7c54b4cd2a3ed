"""How good engines are on anyone's table. Runs in the base install, without torch."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from engines.engine import BUNDLES, Engine, bundle_named, open_engine
from engines.errors import CredenceError
from engines.labels import Emotion
from engines.manifest import Modality, read_manifest
from engines.verdict import (
    UNCERTIFIED,
    Judgement,
    Policy,
    PolicyMismatchError,
    Reason,
    open_policy,
)
from train.data.samples import Input
from train.data.table import Row, Table, open_table
from train.figures import Decision, Decisions, by_group, intervals, measure
from train.prepare import judged
from train.robustness import Corruption, corruption


class EvaluationError(CredenceError):
    """Engines that cannot be evaluated as asked."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}; {remedy}")
        self.problem, self.remedy = problem, remedy


@dataclass(frozen=True, slots=True)
class Judges:
    """Engines of different kinds, and the policy that makes one verdict of what they say."""

    engines: Mapping[Modality, Engine]
    policy: Policy
    paths: Mapping[str, Path]
    """The folders by kind, `policy` among them unless nothing is certified."""

    def judge(self, items: Mapping[Modality, Input]) -> Judgement:
        """Judge one sample as a live window is; a missing modality is no evidence."""
        seen = {kind: judged(self.engines[kind], item) for kind, item in items.items()}
        return self.policy.judge(
            {kind: opinion for kind, (opinion, _) in seen.items()},
            {kind: quality for kind, (_, quality) in seen.items()},
        )


@dataclass(frozen=True, slots=True, eq=False)
class Evaluated:
    """What engines did on a table."""

    engines: Mapping[str, str]
    """Their hashes by kind."""
    policy: str
    """Its hash; `none` where nothing is certified."""
    corruption: str | None
    decisions: Decisions
    unreadable: tuple[str, ...]
    """What was wrong with each row that was left out, at most 1 % of them."""

    @property
    def figures(self) -> dict[str, float | None]:
        """Every figure of the whole table, as `figures.measure` defines them."""
        return measure(self.decisions)

    def summary(self) -> dict[str, Any]:
        """Return all figures, as `credence-train evaluate --json` prints them."""
        return {
            "engines": dict(self.engines),
            "policy": self.policy,
            "corruption": self.corruption,
            "unreadable": len(self.unreadable),
            **self.figures,
            "intervals": intervals(self.decisions),
            "per_group": by_group(self.decisions),
        }


def evaluate(bundles: Sequence[Path], data: Path, corrupt: str | None = None) -> Evaluated:
    """Let engines judge every row of a table, as they judge a live window, by their policy.

    The decision is the policy's verdict, for one engine as for several. ``corrupt`` is a
    specification such as `noise:10`. Progress goes to standard error. Raises EvaluationError, and
    what `open_judges`, `open_table` and `corruption` raise.
    """
    judges = open_judges(bundles)
    worse = corruption(corrupt) if corrupt else None
    if worse and worse.modality not in judges.engines:
        raise EvaluationError(
            f"{corrupt!r} corrupts the {worse.modality}, which none of these engines judges",
            f"name a {worse.modality} engine too, or another corruption",
        )
    table = open_table(data, *judges.engines)
    rows = track(_items(table, worse), data.name, len(table.rows), console=Console(stderr=True))
    decisions = [decision(row.label, row.group, judges.judge(items)) for row, items in rows]
    return Evaluated(
        {kind: engine.hash for kind, engine in judges.engines.items()},
        judges.policy.hash,
        corrupt,
        Decisions.of(decisions),
        tuple(table.unreadable),
    )


def open_judges(bundles: Sequence[Path]) -> Judges:
    """Open engines, and the policy among them; else the shipped one if it was made for them.

    Each by its folder, or by name if it is shipped. Without any policy, opinions are combined and
    nothing is certified. Raises EvaluationError for no engine or two of a kind,
    PolicyMismatchError for a policy of others, BrokenBundleError.
    """
    paths: dict[str, Path] = {}
    for path in map(bundle_named, bundles):
        kind = read_manifest(path)[0].kind
        if kind in paths:
            raise EvaluationError(f"{paths[kind]} and {path} are both of kind {kind}", "name one")
        paths[kind] = path
    opened = [open_engine(path) for kind, path in paths.items() if kind != "policy"]
    engines = {engine.manifest.kind: engine for engine in opened}
    if not engines:
        raise EvaluationError(
            "no engine is named", "name the folder of one, or of one of each kind"
        )
    hashes = {kind: engine.hash for kind, engine in engines.items()}
    if "policy" in paths:
        return Judges(engines, open_policy(paths["policy"], hashes), paths)
    try:
        shipped = BUNDLES / "policy"
        return Judges(engines, open_policy(shipped, hashes), {**paths, "policy": shipped})
    except PolicyMismatchError:
        return Judges(engines, UNCERTIFIED, paths)


def decide(engine: Engine, item: Input) -> int:
    """Return the index of the emotion that an engine sees in one sample."""
    return int(judged(engine, item)[0].projected.argmax())


def _items(
    table: Table, worse: Corruption | None
) -> Iterator[tuple[Row, Mapping[Modality, Input]]]:
    for place, (row, items) in enumerate(table.items()):
        if worse and worse.modality in items:
            random = np.random.default_rng(place)
            items[worse.modality] = worse.apply(items[worse.modality], random)
        yield row, items


def decision(label: Emotion, group: str, judgement: Judgement) -> Decision:
    """Return what was made of a sample of this label and person."""
    verdict = judgement.verdict
    return Decision(
        label=label,
        group=group,
        emotion=verdict.emotion,
        probability=judgement.fused.projected,
        confidence=verdict.confidence,
        certified=verdict.reason in {Reason.CERTIFIED, Reason.BELOW_THRESHOLD},
        trusted=verdict.trusted,
    )
