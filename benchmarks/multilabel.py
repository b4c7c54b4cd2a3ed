"""Several emotions at once: LDDU beside simple baselines, and what each part of it is good for.

    python -m benchmarks.multilabel ../shared/data [--runs FOLDER] [--seeds N] [--epochs N]

Moments are faces, voices and texts of different people, paired by label, which is synthetic (ours);
no encoder was trained on those that are measured. Clean; spoilt, where each sample is by a chance
of 30 % corrupted, absent or swapped for one of another moment, a third each; and spoilt in one of
these ways only. All are trained on the same spoilt moments. Trainings are kept in the folder of the
runs; the same call goes on where one was interrupted. Epochs, strengths and thresholds are chosen
on other people than those that are measured, for all alike. Intervals draw voices, of which there
are fewest, again and again.
"""

import argparse
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from rich.table import Table

from engines.engine import open_engine
from engines.manifest import BUNDLES
from engines.verdict import MODALITIES, open_policy
from train import trust
from train.checks import Bools, Indices
from train.data.sequences import Parts
from train.multilabel.baselines import Feature, fused, logistic, probability
from train.multilabel.fit import train
from train.multilabel.judge import chosen, judge
from train.multilabel.matched import SHARE, TROUBLES, Moments, mixed, moments, trained_on
from train.multilabel.metrics import scores
from train.multilabel.recipe import LdduRecipe
from train.multilabel.run import read_run
from train.recipe import read_any

Say = Callable[[Moments], npt.NDArray[np.float32]]
"""What gives moments probabilities (N, 7)."""

RECIPE: Final = Path("train/recipes/multilabel.yaml")
WITHOUT: Final[dict[str, dict[str, Any]]] = {
    "LDDU": {},
    "without contrast": {"loss": {"contrast": 0}},
    "without latent distributions": {"network": {"latent": 0}},
    "without uncertainty-aware fusion": {"network": {"fusion": "features"}},
    "without calibration": {"loss": {"calibration": 0}},
}
FIGURES: Final = ("accuracy", "micro_precision", "micro_recall", "micro_f1", "macro_f1", "hamming")
DRAWS: Final = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Corpus:
    """What is trained on, what chooses and what is measured, clean and spoilt."""

    train: Moments
    valid: Moments
    test: Mapping[str, Moments]

    @classmethod
    def read(cls, data: Path) -> "Corpus":
        """Make the moments with the shipped encoders, or take them from the user's cache."""
        clean = moments(data, "test")
        test = {"clean": clean, "spoilt": clean.spoilt(SHARE, seed=0)}
        test |= {f"{each} only": clean.spoilt(SHARE, 0, (each,)) for each in TROUBLES}
        return cls(trained_on(data), moments(data, "valid"), test)


Shown = Sequence[Mapping[str, Bools]]
"""What a contestant shows of the measured moments (N, 7), by condition; of LDDU by each seed."""


def main() -> None:
    """Print what LDDU and simple baselines are worth, then what its parts are."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("data", type=Path)
    asked.add_argument("--runs", type=Path, default=Path("runs/multilabel"), metavar="FOLDER")
    asked.add_argument("--seeds", type=int, default=1, help="trainings of LDDU and of each part")
    asked.add_argument("--epochs", type=int, help="instead of the recipe's")
    given = asked.parse_args()
    torch.set_num_threads(1)
    corpus = Corpus.read(given.data)
    simple = {name: [_shown(say, corpus)] for name, say in _baselines(corpus)}
    learnt = {
        name: [
            _shown(_lddu(_recipe(changes, seed, given.epochs), corpus, given.runs), corpus)
            for seed in range(1, given.seeds + 1)
        ]
        for name, changes in WITHOUT.items()
    }
    full = learnt["LDDU"]
    for condition, seen in corpus.test.items():
        _print(f"{condition}, {len(seen.sets)} moments", simple | {"LDDU": full}, condition, seen)
    for condition in ("clean", "spoilt"):
        title = f"parts of LDDU, {condition}, {given.seeds} seeds"
        _print(title, learnt, condition, corpus.test[condition])


def _baselines(corpus: Corpus) -> Iterator[tuple[str, Say]]:
    valid = mixed(corpus.valid)
    features: dict[Feature, str] = {"sequence": "mean sequences", "embedding": "embeddings"}
    for feature, name in features.items():
        models = logistic(corpus.train, valid, feature)
        yield f"logistic regression on {name}", partial(probability, models, feature=feature)
    hashes = {kind: open_engine(BUNDLES / kind).hash for kind in MODALITIES}
    policy = open_policy(BUNDLES / "policy", hashes)
    yield "TER's fused verdict", lambda seen: fused(policy, seen).projected.astype(np.float32)


def _recipe(changes: Mapping[str, Any], seed: int, epochs: int | None) -> LdduRecipe:
    """Return the shipped recipe, changed."""
    content = read_any(RECIPE).model_dump() | {"seed": seed}
    for key, change in changes.items():
        content[key] |= change
    content["optimise"]["epochs"] = epochs or content["optimise"]["epochs"]
    return LdduRecipe.model_validate(content)


def _lddu(recipe: LdduRecipe, corpus: Corpus, runs: Path) -> Say:
    """Train a recipe, unless its run is there already."""
    run = runs / hashlib.sha256(recipe.model_dump_json().encode()).hexdigest()[:12]
    valid = mixed(corpus.valid).sequences("valid")
    if not (run / "results.json").exists():
        train(recipe, Parts(corpus.train.sequences("train"), valid, valid), run)
    network = read_run(run)[2]
    return lambda seen: judge(network, seen.sequences("seen")).probability


def _shown(say: Say, corpus: Corpus) -> dict[str, Bools]:
    valid = mixed(corpus.valid)
    thresholds = chosen(say(valid), valid.sets)
    return {condition: say(seen) >= thresholds for condition, seen in corpus.test.items()}


def _print(title: str, contestants: Mapping[str, Shown], condition: str, seen: Moments) -> None:
    """Print every figure, and how many points of micro-F1 LDDU is ahead of each."""
    table = Table("", *FIGURES, "LDDU ahead by", title=title)
    full = [shown[condition] for shown in contestants["LDDU"]]
    for name, every in contestants.items():
        own = [shown[condition] for shown in every]
        found = [scores(seen.sets, shown) for shown in own]
        figures = [f"{np.mean([each[key] for each in found]):.3f}" for key in FIGURES]
        table.add_row(name, *figures, "" if name == "LDDU" else _ahead(full, own, seen))
    Console(width=140).print(table)


def _ahead(full: Sequence[Bools], other: Sequence[Bools], seen: Moments) -> str:
    """Return points of micro-F1, of the mean over seeds, with an interval."""

    def points(rows: Indices) -> float:
        truth = seen.sets[rows]
        ours, theirs = (
            np.mean([scores(truth, shown[rows])["micro_f1"] for shown in every])
            for every in (full, other)
        )
        return float(100 * (ours - theirs))

    low, high = trust.bootstrap(points, seen.takes, draws=DRAWS)
    return f"{points(np.arange(len(seen.sets))):+.1f} [{low:+.1f}, {high:+.1f}]"


if __name__ == "__main__":
    main()
