"""What an engine makes of many held-out samples, as they are and corrupted."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from rich.console import Console
from rich.progress import track

from engines.engine import Engine
from engines.manifest import Modality
from engines.opinion import Opinion
from engines.quality import MEASURES, Quality
from engines.window import FACE_PX
from train.checks import Floats, Indices
from train.data.samples import Input, Samples
from train.metrics import Classes
from train.prepare import judged
from train.robustness import corruption

CLEAN: Final = "clean"
SPOILT: Final[Mapping[Modality, tuple[str, ...]]] = {
    "face": ("blur:2", "jpeg:5", "dark:0.1", "occlude:0.3", "small:24", "small:12"),
    "voice": ("noise:20", "noise:10", "noise:0", "reverb:0.8", "clip:0.3", "band:8000"),
    "text": ("mishear:0.2", "lower:1", "unpunctuated:1"),
}
"""The corruptions that trust is fitted and measured under (ours), by modality."""


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """N inputs of one modality, judged."""

    opinion: Opinion
    """(N, 7)"""
    quality: Mapping[str, Floats]
    """(N,) by measure; infinite, which is the best, where it is not known."""

    def at(self, rows: Indices) -> "Look":
        """Return some of them, in an order."""
        o = self.opinion
        return Look(
            Opinion(o.belief[rows], o.uncertainty[rows]),
            {name: values[rows] for name, values in self.quality.items()},
        )

    def __add__(self, other: "Look") -> "Look":
        """Return these, then others of the same modality."""
        one, two = self.opinion, other.opinion
        return Look(
            Opinion(
                np.concatenate([one.belief, two.belief]),
                np.concatenate([one.uncertainty, two.uncertainty]),
            ),
            {
                name: np.concatenate([self.quality[name], other.quality[name]])
                for name in self.quality
            },
        )


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """Samples of one modality, under every condition."""

    kind: Modality
    truth: Classes
    """(N,)"""
    people: tuple[str, ...]
    """(N,) who is seen or heard; samples of nobody are each somebody's own."""
    corpora: tuple[str, ...]
    """(N,) where each sample is from."""
    looks: Mapping[str, Look]
    """By `CLEAN` or a corruption."""

    def at(self, rows: Indices) -> "View":
        """Return some of the samples."""
        looks = {name: look.at(rows) for name, look in self.looks.items()}
        people, corpora = (tuple(of[i] for i in rows) for of in (self.people, self.corpora))
        return View(self.kind, self.truth[rows], people, corpora, looks)

    def of(self, corpus: str) -> "View":
        """Return the samples of a corpus."""
        return self.at(np.flatnonzero([name == corpus for name in self.corpora]))

    def __add__(self, other: "View") -> "View":
        """Return these samples, then others of the same modality and conditions."""
        return View(
            self.kind,
            np.concatenate([self.truth, other.truth]),
            self.people + other.people,
            self.corpora + other.corpora,
            {name: look + other.looks[name] for name, look in self.looks.items()},
        )


def view(engine: Engine, samples: Samples, corpus: str) -> View:
    """Let an engine judge a corpus' samples as live windows are, clean and under `SPOILT`.

    Progress goes to standard error.
    """
    kind = engine.manifest.kind
    looks = {CLEAN: look(engine, samples.inputs, f"{corpus} {CLEAN}")}
    for spec in SPOILT[kind]:
        looks[spec] = look(engine, list(_spoil(samples.inputs, spec)), f"{corpus} {spec}")
    if kind == "face":
        looks = {spec: _sized(seen, spec) for spec, seen in looks.items()}
    # The six leads of MELD speak in every part: what is new in a part are the lines.
    named = samples.people if kind != "text" else ("",) * len(samples.people)
    people = tuple(who or f"{corpus} {i:06}" for i, who in enumerate(named))
    corpora = (corpus,) * len(people)
    return View(kind, samples.targets.argmax(axis=1), people, corpora, looks)


def look(engine: Engine, inputs: Sequence[Input], name: str) -> Look:
    """Let an engine judge inputs; the name stands before its progress on standard error."""
    items = track(inputs, name, console=Console(stderr=True))
    return stacked(engine.manifest.kind, [judged(engine, item) for item in items])


def stacked(kind: Modality, judged: Sequence[tuple[Opinion, Quality]]) -> Look:
    """Return single opinions with their windows' quality as one look; at least one."""
    return Look(
        Opinion(
            np.stack([opinion.belief for opinion, _ in judged]),
            np.stack([opinion.uncertainty for opinion, _ in judged]),
        ),
        {name: np.array([q.get(name, np.inf) for _, q in judged]) for name in MEASURES[kind]},
    )


def _sized(seen: Look, spec: str) -> Look:
    """Say how wide faces were seen, which nobody measured in a table of crops."""
    name, _, level = spec.partition(":")
    size_px = float(level) if name == "small" else float(FACE_PX)
    width = np.full(len(seen.opinion.uncertainty), size_px)
    return Look(seen.opinion, {**seen.quality, "size_px": width})


def _spoil(inputs: Sequence[Input], spec: str) -> Iterator[Input]:
    worse = corruption(spec)
    for i, item in enumerate(inputs):
        yield worse.apply(item, np.random.default_rng(i))
