"""What LDDU's spread is good for: does it follow corruption, and does it tell when TER is wrong?

    python -m benchmarks.spread ../shared/data RUN

RUN is a finished run of train/recipes/multilabel.yaml. First the spread of a modality beside how
badly its samples were corrupted: Spearman's correlation within a sample, the mean over samples of
the measured part. Then TER's fused verdict on the moments that `benchmarks.multilabel` measures,
clean and spoilt: it is right where its emotion is one that is shown. A logistic regression of
TER's confidence, and one that is told spreads as well, are fitted on the validation moments.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from rich.table import Table
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from engines.engine import open_engine
from engines.labels import EMOTIONS
from engines.manifest import BUNDLES, Modality
from engines.verdict import MODALITIES, Policy, joined, open_policy, read_off
from train import trust
from train.checks import Bools, Floats, Indices
from train.metrics import rank_correlation
from train.models.lddu import Lddu
from train.multilabel.baselines import fused
from train.multilabel.encode import encode
from train.multilabel.judge import judge
from train.multilabel.matched import SHARE, Moments, Pool, mixed, moments
from train.multilabel.run import read_run
from train.multilabel.spoil import Version
from train.views import CLEAN

LEVELS: Final[Mapping[Modality, Mapping[str, tuple[float, ...]]]] = {
    "face": {
        "blur": (0.5, 1, 2, 3, 4),
        "jpeg": (50, 20, 10, 5, 2),
        "dark": (0.5, 0.2, 0.1, 0.05, 0.02),
        "occlude": (0.1, 0.2, 0.3, 0.4, 0.6),
        "small": (36, 24, 16, 12, 8),
    },
    "voice": {
        "noise": (30, 20, 10, 0, -10),
        "reverb": (0.2, 0.4, 0.8, 1.6, 3),
        "clip": (0.05, 0.1, 0.2, 0.4, 0.8),
        "band": (12000, 8000, 4000, 2000, 1000),
    },
    "text": {"mishear": (0.1, 0.2, 0.4, 0.6, 0.8)},
}
"""From least to worst; clean comes before."""
SAMPLES: Final = 100
FIGURES: Final = {"error AUROC": trust.error_auroc, "AURC": trust.aurc}
TOLD: Final = {
    "TER's confidence": [0],
    "and what is there": [0, 5, 6, 7],
    "and the emotion's spread": [0, 5, 6, 7, 1],
    "and each modality's spread": [0, 5, 6, 7, 1, 2, 3, 4],
    "and LDDU's probability": [0, 5, 6, 7, 8],
}
"""Columns of `Verdicts.told` by name."""
DRAWS: Final = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Verdicts:
    """TER's verdicts of N moments, and what may tell whether they are right."""

    right: Bools
    """(N,) whether the emotion is one that is shown."""
    told: Floats
    """(N, 9) confidence; the emotion's spread; face's, voice's and text's spread; whether each of
    the three is there; LDDU's probability of the emotion."""


def main() -> None:
    """Print a table of correlations, and one of what spread adds to TER's confidence."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("data", type=Path)
    asked.add_argument("run", type=Path)
    given = asked.parse_args()
    torch.set_num_threads(1)
    network = read_run(given.run)[2]
    test = moments(given.data, "test")
    table = Table("", "Spearman's correlation", "spread from clean to worst")
    for name, found, means in _followed(network, test, given.data):
        steps = " ".join(f"{mean:.2f}" for mean in means)
        table.add_row(name, f"{found:.2f}", steps)
    Console(width=120).print(table)
    _print_trust(network, moments(given.data, "valid"), test)


def _followed(
    network: Lddu, test: Moments, data: Path
) -> Iterator[tuple[str, float, npt.NDArray[np.float64]]]:
    """Yield by corruption the correlation within samples, and the mean spread at each level."""
    for m, (kind, corruptions) in enumerate(LEVELS.items()):
        own = test.pools[kind].shown
        few = own.take(np.random.default_rng(0).permutation(len(own.inputs))[:SAMPLES])
        for name, levels in corruptions.items():
            specs = [CLEAN, *(f"{name}:{level:g}" for level in levels)]
            asked = [Version(i, spec, i) for spec in specs for i in range(len(few.inputs))]
            pool = Pool(few, encode(open_engine(BUNDLES / kind), few, asked, data, name))
            spread = _alone(network, test, kind, pool)[:, m].reshape(len(specs), -1)
            each = [rank_correlation(np.arange(float(len(specs))), one) for one in spread.T]
            yield f"{kind}, {name}", float(np.mean([r or 0.0 for r in each])), spread.mean(axis=1)


def _alone(network: Lddu, test: Moments, kind: Modality, pool: Pool) -> Floats:
    """Return the spread (P, M) of a pool's sequences, with nothing beside them."""
    entries = np.arange(len(pool.encoded.sequences))
    rows = {each: np.full(len(entries), -1) for each in test.pools} | {kind: entries}
    sets = np.zeros((len(entries), len(EMOTIONS)), dtype=np.bool_)
    seen = Moments({**test.pools, kind: pool}, sets, rows, rows)
    return judge(network, seen.sequences("alone")).spread_by_modality.astype(np.float64)


def _print_trust(network: Lddu, valid: Moments, test: Moments) -> None:
    hashes = {kind: open_engine(BUNDLES / kind).hash for kind in MODALITIES}
    policy = open_policy(BUNDLES / "policy", hashes)
    chooses = _verdicts(policy, network, mixed(valid))
    table = Table("", *(f"{name} {what}" for name in ("clean", "spoilt") for what in FIGURES))
    seen = {"clean": test, "spoilt": test.spoilt(SHARE, seed=0)}
    measured = {name: _verdicts(policy, network, each) for name, each in seen.items()}
    for name, columns in TOLD.items():
        model = make_pipeline(StandardScaler(), LogisticRegression())
        model.fit(chooses.told[:, columns], chooses.right)
        row = []
        for each in measured.values():
            plain, more = each.told[:, 0], model.predict_proba(each.told[:, columns])[:, 1]
            row += [_gained(figure, each, plain, more, test) for figure in FIGURES.values()]
        table.add_row(name, *row)
    Console(width=160).print(table)


def _verdicts(policy: Policy, network: Lddu, seen: Moments) -> Verdicts:
    probability = fused(policy, seen).projected
    best, each = probability.argmax(axis=1), np.arange(len(probability))
    there = np.stack([seen.entries[kind] >= 0 for kind in seen.pools], axis=1)
    sure = probability.max(axis=1)
    for present in np.unique(there, axis=0):
        name = joined(kind for kind, one in zip(seen.pools, present, strict=True) if one)
        own = (there == present).all(axis=1)
        sure[own] = read_off(policy.calibration[name], sure[own])
    said = judge(network, seen.sequences("seen"))
    told = [sure, said.spread[each, best], *said.spread_by_modality.T, *there.T]
    return Verdicts(seen.sets[each, best], np.stack([*told, said.probability[each, best]], axis=1))


def _gained(
    figure: Callable[..., float | None], seen: Verdicts, plain: Floats, more: Floats, of: Moments
) -> str:
    """Return a figure of what was told more, and how far it is from that of TER's confidence."""

    def gain(rows: Indices) -> float | None:
        with_it = figure(seen.right[rows], more[rows])
        without = figure(seen.right[rows], plain[rows])
        return None if with_it is None or without is None else with_it - without

    low, high = trust.bootstrap(gain, of.takes, draws=DRAWS)
    gained = gain(np.arange(len(more)))
    return f"{figure(seen.right, more):.3f} ({gained:+.3f} [{low:+.3f}, {high:+.3f}])"


if __name__ == "__main__":
    main()
