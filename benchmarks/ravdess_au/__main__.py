"""RAVDESS takes, heard and seen: voice and face action units of one moment, fused by belief.

    python -m benchmarks.ravdess_au --data ../shared/data --folds RUNS

`RUNS/fold-1` … `RUNS/fold-6` are voice networks that each never heard the actors of its fold. All
else is fitted on other actors than those judged, too. Eight classes; intervals over actors.
"""

import argparse
import os
import platform
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.ravdess_au.hearing import Hearing, hear
from benchmarks.ravdess_au.methods import methods
from benchmarks.ravdess_au.saying import say
from benchmarks.ravdess_au.takes import Takes, read
from benchmarks.ravdess_au.verdicts import DELTA, TARGET, Verdicts, verdicts
from train import trust
from train.checks import Indices


def main() -> None:
    """Print one table."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--data", type=Path, required=True)
    asked.add_argument("--folds", type=Path, required=True, metavar="RUNS")
    given = asked.parse_args()
    takes = read(given.data)
    report(takes, hear(takes, given.folds))


def report(takes: Takes, hearings: list[Hearing]) -> None:
    """Print what every method makes of the takes under every condition."""
    actors = len(np.unique(takes.actor))
    heads = ("accuracy", "UAR", "error AUROC", "AURC", "ECE", "trusted precision", "coverage")
    table = Table(
        "",
        *heads,
        "u",
        "conflict",
        title=f"{len(takes.truth)} takes of {actors} actors, heard and seen",
    )
    said = say(takes, hearings)
    for name, method in methods(said, takes.truth, takes.actor).items():
        table.add_section()
        table.add_row(f"[bold]{name}")
        found = verdicts(method, takes.truth, takes.actor, takes.fold)
        for condition, made in found.items():
            table.add_row(f"  {condition}", *_figures(made, takes))
    Console(width=170).print(table)
    print(
        f"trusted: precision {TARGET} certified with probability {1 - DELTA} on other actors;"
        f" {platform.machine()}, Python {platform.python_version()}, torch {torch.__version__},"
        f" {os.cpu_count()} cores"
    )


def _figures(made: Verdicts, takes: Takes) -> list[str]:
    right = made.guess == takes.truth

    def accuracy(rows: Indices) -> float:
        return float(right[rows].mean())

    def recall(rows: Indices) -> float:
        share = np.bincount(takes.truth[rows], right[rows]) / np.bincount(takes.truth[rows])
        return float(share.mean())

    def precision(rows: Indices) -> float | None:
        trusted = made.trusted[rows]
        return float(right[rows][trusted].mean()) if trusted.any() else None

    auroc = trust.error_auroc(right, made.sure)
    return [
        _interval(accuracy, takes),
        _interval(recall, takes),
        "-" if auroc is None else f"{auroc:.3f}",
        f"{trust.aurc(right, made.sure):.3f}",
        f"{trust.ece(right, made.sure):.3f}",
        _interval(precision, takes),
        f"{made.trusted.mean():.3f}",
        *(
            "-" if np.isnan(x).all() else f"{x.mean():.3f}"
            for x in (made.uncertainty, made.conflict)
        ),
    ]


def _interval(statistic: Callable[[Indices], float | None], takes: Takes) -> str:
    value = statistic(np.arange(len(takes.truth)))
    if value is None:
        return "-"
    low, high = trust.bootstrap(statistic, takes.actor, draws=500)
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


if __name__ == "__main__":
    main()
