"""How good an engine is on anyone's table. Runs in the base install, without torch."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from engines.engine import Engine, open_engine
from engines.labels import EMOTIONS
from train.data.samples import Input
from train.data.table import open_table
from train.metrics import scores
from train.prepare import window


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What an engine did on a table."""

    engine: str
    """Its hash."""
    figures: dict[str, float]
    """n, accuracy, uar, macro_f1, weighted_f1."""
    unreadable: tuple[str, ...]
    """What was wrong with each file that was left out, at most 1 % of them."""


def evaluate(bundle: Path, data: Path) -> Evaluated:
    """Let an engine judge every row of a table, as it judges a live window.

    The decision is the emotion of the highest projected probability. Progress goes to standard
    error. Raises what `open_engine` and `open_table` raise.
    """
    engine, console = open_engine(bundle), Console(stderr=True)
    table = open_table(data, engine.manifest.kind)
    truth, guess = [], []
    for row, item in track(
        table.inputs(engine.manifest.kind), bundle.name, len(table.rows), console=console
    ):
        truth.append(EMOTIONS.index(row.label))
        guess.append(decide(engine, item))
    figures = scores(np.array(truth), np.array(guess))
    return Evaluated(engine.hash, figures, tuple(table.unreadable))


def decide(engine: Engine, item: Input) -> int:
    """Return the index of the emotion that an engine sees in one sample."""
    return int(engine.judge(window(engine.manifest.kind, item)).projected.argmax())
