"""Engines that need no network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engines.engine import Answer
from engines.labels import EMOTIONS
from engines.manifest import Modality
from engines.multilabel import Emotions
from engines.opinion import Opinion
from engines.verdict import UNCERTIFIED, Policy
from engines.window import SequenceWindow, Window
from streamer.ensemble import Ensemble


@dataclass(eq=False)
class FakeEngine:
    """Believes the same of everything, and remembers it; or fails."""

    hash: str
    broken: bool = False
    given: list[Window] = field(default_factory=list)

    def answers(self, windows: Sequence[Window]) -> list[Answer]:
        self.given += windows
        if self.broken:
            raise RuntimeError(f"{self.hash} is broken")
        rows = Opinion.from_evidence([[2.0] * len(EMOTIONS)])
        return [answer_of(rows) for _ in windows]

    def judge_all(self, parts: Sequence[Window]) -> list[Opinion]:
        """Believe it of parts of what was given, too."""
        return [Opinion.from_evidence([2.0] * len(EMOTIONS)) for _ in parts]


@dataclass(eq=False)
class FakeMultilabel:
    """Says that the first emotions are shown, as many as there are modalities; or fails."""

    hash: str = "m1"
    broken: bool = False
    given: list[SequenceWindow] = field(default_factory=list)
    calls: list[int] = field(default_factory=list)
    """About how many windows it was asked each time."""
    runtime: Any = None

    def answers(self, windows: Sequence[SequenceWindow]) -> list[Emotions]:
        self.given += windows
        self.calls.append(len(windows))
        if self.broken:
            raise RuntimeError(f"{self.hash} is broken")
        return [emotions_of(len(window.sequences)) for window in windows]


def emotions_of(shown: int) -> Emotions:
    """Return what shows the first emotions, each less than the one before."""
    ranks = np.arange(len(EMOTIONS), dtype=np.float64)
    return Emotions(0.9 - 0.1 * ranks, 0.01 * ranks, ranks < shown)


def answer_of(rows: Opinion) -> Answer:
    """Return the answer of an engine that believes this of one row (1, K), and saw only ones."""
    saw = np.ones((1, 4), np.float32)
    return Answer(Opinion(rows.belief[0], rows.uncertainty[0]), rows, saw)


def ensemble_of(
    engines: Mapping[Modality, Any], policy: Policy = UNCERTIFIED, multilabel: Any = None
) -> Ensemble:
    """Return an ensemble of these engines; text stands for one with that hash."""
    made: dict[Modality, Any] = {
        kind: FakeEngine(each) if isinstance(each, str) else each for kind, each in engines.items()
    }
    return Ensemble(made, policy, multilabel=multilabel)
