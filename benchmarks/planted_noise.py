"""Does the learned spread of a modality follow the noise that was planted in it?

    python -m benchmarks.planted_noise [--seed N]

Synthetic sequences: each of five labels has a pattern in each of three modalities, a sample shows
one to three of them, one in every row, by turns. In each modality of each sample a random share of
the rows' energy is replaced by noise of the same energy, so that loudness does not give it away;
one in ten is absent. The networks never hear how much noise there is. Printed is Spearman's
correlation of a modality's spread with its noise, on samples never trained on, with 95 % intervals.
"""

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from rich.table import Table

from train import trust
from train.data.sequences import Parts, Sequences
from train.metrics import rank_correlation
from train.multilabel.fit import train
from train.multilabel.judge import judge
from train.multilabel.recipe import LdduRecipe
from train.multilabel.run import read_run

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
Series = npt.NDArray[np.float64]

LABELS: Final = tuple("abcde")
WIDTHS: Final = {"face": 16, "voice": 12, "text": 20}
ROWS: Final = 8
SIZES: Final = {"train": 2000, "valid": 500, "test": 1000}
VARIANTS: Final[dict[str, dict[str, Any]]] = {
    "full": {},
    "calibrated by the joint correctness": {"loss": {"correctness": "joint"}},
    "without calibration": {"loss": {"calibration": 0}},
    "without contrast": {"loss": {"contrast": 0}},
}


@dataclass(frozen=True, slots=True, eq=False)
class Planted:
    """Samples, and what was planted in them."""

    samples: Sequences
    noise: Floats
    """(N, M) in [0, 1], the share of the energy that is noise."""
    there: npt.NDArray[np.bool_]
    """(N, M)."""


def main() -> None:
    """Print the table."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--seed", type=int, default=0)
    seed = asked.parse_args().seed
    torch.set_num_threads(1)
    parts = [plant(n, seed, part) for part, n in enumerate(SIZES.values())]
    table = Table("", *WIDTHS, "micro-F1", title="Spearman's correlation of spread with noise")
    for name, changes in VARIANTS.items():
        with tempfile.TemporaryDirectory() as run:
            learn(recipe(seed, **changes), parts, Path(run))
            found = [_cell(*pair) for pair in followed(Path(run), parts[-1])]
            f1 = read_run(Path(run))[1].metrics["test"]["micro_f1"]
        table.add_row(name, *found, f"{f1:.3f}")
    Console(width=120).print(table)


def recipe(seed: int, **changes: Any) -> LdduRecipe:
    """Return the recipe of a small network, some of it changed."""
    content = {
        "kind": "lddu",
        "name": "planted",
        "corpus": "planted",
        "licence": "Apache-2.0",
        "seed": seed,
        "network": {"width": 32, "layers": 1, "heads": 4, "feed_forward": 64, "dropout": 0.1}
        | {"hidden": (32,), "latent": 16},
        "optimise": {"epochs": 20, "rate": 2e-3},
        "loss": {"own": 1, "calibration": 1, "queue": 512} | changes.pop("loss", {}),
    }
    return LdduRecipe.model_validate(content | changes)


def plant(n: int, seed: int, part: int) -> Planted:
    """Return n samples of a world that the seed alone decides; parts share none."""
    world, rng = np.random.default_rng(seed), np.random.default_rng([seed, part])
    order = rng.random((n, len(LABELS))).argsort(axis=1)
    count = rng.integers(1, 4, size=(n, 1))
    targets = (order.argsort(axis=1) < count).astype(np.float32)
    which = np.take_along_axis(order, np.arange(ROWS) % count, axis=1)  # (N, 8)
    noise = rng.random((n, len(WIDTHS)), dtype=np.float32)
    there = rng.random(noise.shape) < 0.9
    there[~there.any(axis=1), 0] = True
    pools = {}
    for m, (name, width) in enumerate(WIDTHS.items()):
        patterns = world.normal(size=(len(LABELS), width))
        pools[name] = _rows(patterns, which, noise[:, m], rng)
    rows = {name: np.where(there[:, m], np.arange(n), -1) for m, name in enumerate(WIDTHS)}
    names = tuple(map(str, range(n)))
    return Planted(Sequences(pools, rows, targets, LABELS, names), noise, there)


def _rows(patterns: npt.NDArray[Any], which: Indices, noise: Floats, rng: Any) -> Floats:
    """Return sequences (N, 8, D) of 4 to 8 rows, each the pattern of its label, and noise."""
    clean = patterns[which]  # (N, 8, D)
    share = noise[:, None, None]
    rows = np.sqrt(1 - share) * clean + np.sqrt(share) * rng.normal(size=clean.shape)
    lasts = np.arange(ROWS) < rng.integers(ROWS // 2, ROWS + 1, size=(len(which), 1))
    sequences: Floats = (rows * lasts[:, :, None]).astype(np.float32)
    return sequences


def learn(how: LdduRecipe, parts: list[Planted], run: Path) -> None:
    """Train a recipe on the first part, choose on the second, and test on the third."""
    train(how, Parts(*(part.samples for part in parts)), run, device="cpu")


def followed(run: Path, held: Planted) -> list[tuple[Series, Series]]:
    """Return spread and noise (N,) of the samples that have it, for each modality."""
    spread = judge(read_run(run)[2], held.samples).spread_by_modality
    columns = zip(spread.T, held.noise.T, held.there.T, strict=True)
    return [(s[t].astype(float), n[t].astype(float)) for s, n, t in columns]


def _cell(spread: Series, noise: Series) -> str:
    def rank(of: npt.NDArray[np.int64]) -> float | None:
        return rank_correlation(spread[of], noise[of])

    low, high = trust.bootstrap(rank, np.arange(len(noise)), draws=300)
    return f"{rank(np.arange(len(noise))):.3f} [{low:.3f}, {high:.3f}]"


if __name__ == "__main__":
    main()
