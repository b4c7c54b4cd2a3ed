"""The fused verdict on label-matched moments: clean, corrupted, in conflict, with less to go by.

    python -m benchmarks.fused ../shared/data [--engine BUNDLE]… [--corpora ferplus ravdess …]

Faces, voices and texts of different people are paired by label, which is synthetic (ours). They are
samples that no network was trained on and the policy was not fitted on: the last fifth of the
validation faces and texts, and all validation voices. (The few numbers of each engine's head are
fitted on its validation samples.)
`--engine` puts another engine into the place of the shipped one, under the shipped policy.
"""

import argparse
from collections.abc import Iterable, Sequence
from functools import reduce
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from engines.engine import BUNDLES, Engine, open_engine
from engines.verdict import MODALITIES, Policy, joined, open_policy, read_off
from train import trust
from train.checks import Bools, Indices
from train.data import CORPORA
from train.data.samples import fold_of
from train.moments import conditions, fuse, moments
from train.policy import FIFTHS, recipe_of
from train.thresholds import Views
from train.views import CLEAN, View, view

MOMENTS = 3000
DRAWS = 300


def main() -> None:
    """Print one table for all three modalities under every condition, one for less."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("data", type=Path)
    asked.add_argument("--engine", type=Path, action="append", default=[], metavar="BUNDLE")
    asked.add_argument("--corpora", nargs="+", default=list(CORPORA), metavar="CORPUS")
    given = asked.parse_args()
    shipped = {kind: open_engine(BUNDLES / kind) for kind in MODALITIES}
    policy = open_policy(BUNDLES / "policy", {k: e.hash for k, e in shipped.items()})
    engines = shipped | {e.manifest.kind: e for e in map(open_engine, given.engine)}
    views = {kind: _view(engine, given.corpora, given.data) for kind, engine in engines.items()}
    hashes = ", ".join(f"{kind} {engine.hash}" for kind, engine in engines.items())
    print(f"{hashes}, policy {policy.hash}; {', '.join(given.corpora)}; {MOMENTS} moments each")
    _print("face + voice + text", policy, [(name, views, name) for name in conditions(MODALITIES)])
    fewer = [kinds for n in (1, 2) for kinds in combinations(MODALITIES, n)]
    less = [(" + ".join(kinds), {k: views[k] for k in kinds}, CLEAN) for kinds in fewer]
    _print("with modalities missing, clean", policy, less)


def _view(engine: Engine, corpora: Sequence[str], data: Path) -> View:
    """Judge what neither the network nor the policy knows of its corpora, and all of others."""
    kind = engine.manifest.kind
    parts = []
    for name in (name for name in corpora if CORPORA[name].kind == kind):
        samples = CORPORA[name].read(data, "valid")
        if name not in recipe_of(engine).data:
            if kind == "voice":  # few people speak in the validation part
                samples += CORPORA[name].read(data, "train")
        elif kind != "voice":
            rows = fold_of([""] * len(samples.inputs), FIFTHS) == FIFTHS - 1
            samples = samples.take(np.flatnonzero(rows))
        parts.append(view(engine, samples, name))
    return reduce(View.__add__, parts)


def _print(title: str, policy: Policy, rows: Iterable[tuple[str, Views, str]]) -> None:
    heads = ("accuracy", "mean u", "ECE", "error AUROC", "trusted precision", "coverage")
    table = Table("", *heads, title=title)
    for name, views, condition in rows:
        table.add_row(name, *_figures(policy, views, condition))
    Console(width=120).print(table)


def _figures(policy: Policy, views: Views, condition: str) -> list[str]:
    seen = moments(views, condition, MOMENTS, seed=0)
    fused, name = fuse(policy, seen), joined(views)
    sure, right = read_off(policy.calibration[name], fused.probability), fused.right
    threshold = policy.thresholds.get(name)
    trusted = sure >= threshold.confidence if threshold else np.zeros(len(sure), dtype=bool)
    return [
        f"{right.mean():.3f}",
        f"{fused.uncertainty.mean():.3f}",
        f"{trust.ece(right, sure):.3f}",
        f"{trust.error_auroc(right, sure):.3f}",
        _precision(right, trusted, np.array(seen.people)) if threshold else "uncertified",
        f"{trusted.mean():.3f}",
    ]


def _precision(right: Bools, trusted: Bools, people: npt.NDArray[np.str_]) -> str:
    if not trusted.any():
        return "-"

    def precision(rows: Indices) -> float | None:
        return float(right[rows][trusted[rows]].mean()) if trusted[rows].any() else None

    low, high = trust.bootstrap(precision, people, draws=DRAWS)
    return f"{right[trusted].mean():.3f} [{low:.3f}, {high:.3f}]"


if __name__ == "__main__":
    main()
