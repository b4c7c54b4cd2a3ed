"""The shipped engines on validation data that none was trained on, and how far to trust each.

    python -m benchmarks.engines ../shared/data

What is right is counted on all validation samples. Trust is measured on those that the policy was
not fitted on either (the last fifth of faces and texts, all voices), beside the highest probability
of the same network's softmax with a temperature: belief over 1 - u. (Temperatures and heads are
fitted on validation samples; the model cards have cross-fitted figures.) Intervals: 95 %, 1,000
draws of whole people.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from engines.engine import BUNDLES
from engines.labels import EMOTIONS
from engines.opinion import Opinion
from train import trust
from train.checks import Bools, Floats, Indices
from train.data import CORPORA
from train.data.samples import Samples, fold_of
from train.evaluate import Judges, decision, open_judges
from train.figures import Decisions
from train.metrics import scores
from train.policy import FIFTHS
from train.prepare import judged


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """The verdicts on a corpus, and what a softmax with a temperature would have said."""

    name: str
    decisions: Decisions
    softmax: Floats
    """(N, 7)"""
    fresh: Bools
    """(N,) which the policy was not fitted on."""


def main(data: Path) -> None:
    """Print two tables."""
    right = Table("", "n", "accuracy", "UAR", "macro F1", "weighted F1", title="Right")
    names = ("n", "ECE", "error AUROC / softmax", "AURC / softmax", "trusted precision", "coverage")
    trusted = Table("", *names, title="Trusted")
    for name, corpus in CORPORA.items():
        judges = open_judges([BUNDLES / corpus.kind, BUNDLES / "policy"])
        for part in _parts(name, _judged(name, judges, corpus.read(data, "valid"))):
            right.add_row(part.name, *_right(part.decisions))
            chosen = np.flatnonzero(part.fresh)
            trusted.add_row(part.name, *_trusted(part.decisions.take(chosen), part.softmax[chosen]))
        print(f"{name}: {corpus.kind} {judges.engines[corpus.kind].hash}, {judges.policy.hash}")
    for table in (right, trusted):
        Console(width=140).print(table)


def _judged(name: str, judges: Judges, samples: Samples) -> tuple[Judged, tuple[str, ...]]:
    (kind, engine), decisions, softmax = next(iter(judges.engines.items())), [], []
    rows = track(samples.inputs, name, console=Console(stderr=True))
    for i, item in enumerate(rows):
        opinion, quality = judged(engine, item)
        softmax.append(_softmax(opinion))
        label = EMOTIONS[int(samples.targets[i].argmax())]
        who = samples.people[i] if kind == "voice" else ""
        decisions.append(
            decision(label, who, judges.policy.judge({kind: opinion}, {kind: quality}))
        )
    fresh = (fold_of([""] * len(decisions), FIFTHS) == FIFTHS - 1) | (kind == "voice")
    return Judged(name, Decisions.of(decisions), np.stack(softmax), fresh), samples.strata


def _parts(name: str, judged: tuple[Judged, tuple[str, ...]]) -> Iterator[Judged]:
    """Give the whole, then its strata."""
    whole, strata = judged
    yield whole
    for stratum in sorted(set(strata) - {name}):
        rows = np.flatnonzero([s == stratum for s in strata])
        yield Judged(stratum, whole.decisions.take(rows), whole.softmax[rows], whole.fresh[rows])


def _softmax(opinion: Opinion) -> Floats:
    """Return belief over 1 - u (7,): the head gives each class its share of 1 - u."""
    total = opinion.belief.sum()
    return opinion.belief / total if total > 0 else opinion.projected


def _right(d: Decisions) -> list[str]:
    def of(figure: str) -> str:
        return _interval(d.groups, lambda rows: scores(d.truth[rows], d.guess[rows])[figure])

    return [f"{len(d.truth):,}", *map(of, ("accuracy", "uar", "macro_f1", "weighted_f1"))]


def _trusted(d: Decisions, softmax: Floats) -> list[str]:
    plain_right, plain = softmax.argmax(axis=1) == d.truth, softmax.max(axis=1)

    def beside(figure: Callable[[Bools, Floats], float | None]) -> str:
        return f"{figure(d.correct, d.confidence):.3f} / {figure(plain_right, plain):.3f}"

    precision = "uncertified"
    if d.certified.any():
        precision = _interval(d.groups, lambda rows: _precision(d, rows))
    return [
        f"{len(d.truth):,}",
        _interval(d.groups, lambda rows: trust.ece(d.correct[rows], d.confidence[rows])),
        beside(trust.error_auroc),
        beside(trust.aurc),
        precision,
        f"{d.trusted.mean():.3f}",
    ]


def _precision(d: Decisions, rows: Indices) -> float | None:
    chosen = d.trusted[rows]
    return float(d.correct[rows][chosen].mean()) if chosen.any() else None


def _interval(groups: Indices, figure: Callable[[Indices], float | None]) -> str:
    whole = figure(np.arange(len(groups)))
    if len(np.unique(groups)) < 2 or whole is None:
        return "-" if whole is None else f"{whole:.3f}"
    low, high = trust.bootstrap(figure, groups)
    return f"{whole:.3f} [{low:.3f}, {high:.3f}]"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
