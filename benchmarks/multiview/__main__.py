"""Accuracy and error-AUROC on HandWritten, PIE and Scene15, clean, noisy and conflictive.

    python -m benchmarks.multiview --data ../shared/data/multiview

Mean and deviation over five seeds in per cent. A seed draws split, noise, conflict and the nets.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.multiview.data import Dataset, Indices, Split, drawn, load
from benchmarks.multiview.methods import FAMILIES
from engines.errors import CredenceError
from train.calibrate import Float
from train.trust import error_auroc

Scores = dict[str, dict[str, list[tuple[float, float]]]]
"""By method and condition, accuracy and error-AUROC of each seed; NaN where nothing is wrong."""


def main() -> None:
    """Print a table for every benchmark."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--data", type=Path, required=True, help="the folder of the .mat files")
    asked.add_argument("--seeds", type=int, default=5)
    given = asked.parse_args()
    try:
        datasets = load(given.data)
    except CredenceError as error:
        raise SystemExit(str(error)) from error
    for dataset in datasets:
        seeds = track(range(given.seeds), dataset.name, console=Console(stderr=True))
        Console(width=200).print(table(dataset, measured(dataset, seeds)))


def measured(dataset: Dataset, seeds: Iterable[int]) -> Scores:
    """Fit every method on every seed's training part and score it under each condition."""
    scores: Scores = defaultdict(lambda: defaultdict(list))
    for seed in seeds:
        for method, condition, score in _one(drawn(dataset, seed), seed):
            scores[method][condition].append(score)
    return scores


def table(dataset: Dataset, scores: Scores) -> Table:
    """Show means and deviations, in Markdown."""
    conditions = list(next(iter(scores.values())))
    heads = [f"{c}: {figure}" for c in conditions for figure in ("accuracy", "AUROC")]
    shown = Table(dataset.name, *heads, box=box.MARKDOWN)
    for method, of in scores.items():
        columns = [figures for c in conditions for figures in zip(*of[c], strict=True)]
        shown.add_row(method, *(_spread(figures) for figures in columns))
    return shown


def _one(split: Split, seed: int) -> Iterable[tuple[str, str, tuple[float, float]]]:
    for fit in FAMILIES:
        judge = fit(split.train, seed)
        for condition, test in split.tests.items():
            for method, probability in judge(test.features).items():
                yield method, condition, _score(probability, test.truth)


def _score(probability: Float, truth: Indices) -> tuple[float, float]:
    right = probability.argmax(axis=1) == truth
    ranked = error_auroc(right, np.minimum(probability.max(axis=1), 1.0))
    return float(right.mean()), float("nan") if ranked is None else ranked


def _spread(figures: tuple[float, ...]) -> str:
    defined = 100 * np.array([f for f in figures if not np.isnan(f)])
    return f"{defined.mean():.2f} ± {defined.std():.2f}" if len(defined) else "–"


if __name__ == "__main__":
    main()
