"""Pictures of how far decisions can be relied on, as PNG. Needs matplotlib (credence[train])."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from engines.labels import EMOTIONS
from train.metrics import Classes, confusion
from train.trust import ece, reliability, risk_coverage


def reliability_diagram(
    path: Path, correct: npt.ArrayLike, confidence: npt.ArrayLike, bins: int = 15
) -> None:
    """Draw accuracy over confidence (N,), a point per bin, its area the bin's count."""
    found = reliability(correct, confidence, bins)
    with _axes(path, "confidence", "accuracy") as axes:
        axes.plot([0, 1], [0, 1], color="0.6", linestyle="--", label="as sure as right")
        axes.plot(found.confidence, found.accuracy, color="C0")
        sizes = 300 * found.count / found.count.max()
        axes.scatter(found.confidence, found.accuracy, sizes, color="C0", alpha=0.6)
        axes.set(xlim=(0, 1), ylim=(0, 1), title=f"ECE {ece(correct, confidence, bins):.3f}")
        axes.legend()


def risk_coverage_curve(path: Path, correct: npt.ArrayLike, confidence: npt.ArrayLike) -> None:
    """Draw the error rate of the surest decisions over their share of all (N,)."""
    coverage, risk = risk_coverage(correct, confidence)
    with _axes(path, "coverage", "error rate") as axes:
        axes.plot(coverage, risk, color="C0")
        axes.axhline(risk[-1], color="0.6", linestyle="--", label="of all")
        axes.set(xlim=(0, 1), ylim=(0, None), title=f"AURC {risk.mean():.3f}")
        axes.legend()


def confusion_matrix(path: Path, truth: Classes, guess: Classes) -> None:
    """Draw how each emotion was judged: classes (N,) by their place in `labels.EMOTIONS`.

    A guess of -1, no decision, stands in no column. Colours are shares of the row, numbers counts.
    """
    counts = confusion(truth, guess)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    with _axes(path, "judged", "true") as axes:
        axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
        axes.set_xticks(range(len(EMOTIONS)), EMOTIONS, rotation=45, ha="right")
        axes.set_yticks(range(len(EMOTIONS)), EMOTIONS)
        for (row, column), count in np.ndenumerate(counts):
            colour = "white" if share[row, column] > 0.5 else "black"
            axes.text(column, row, str(count), ha="center", va="center", color=colour)


@contextmanager
def _axes(path: Path, x: str, y: str) -> Iterator[Axes]:
    # No pyplot: it would look for a screen and keep every figure.
    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.subplots()
    axes.set(xlabel=x, ylabel=y)
    yield axes
    figure.savefig(path, dpi=120, metadata={"Software": None})
