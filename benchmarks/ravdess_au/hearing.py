"""What the networks of six folds make of voices whose speakers they never heard."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.ravdess_au.takes import FOLDS, Classes, Floats, Takes
from engines.engine import tensor
from engines.errors import CredenceError
from engines.window import VoiceWindow
from train.data.samples import Array
from train.models import Exported
from train.robustness import corruption
from train.run import read_run
from train.views import CLEAN

ANY_NOISE = "any noise"
HEARD = (CLEAN, "noise:10", "noise:0")
"""Under what the voices of unheard actors are judged."""
_BATCH = 64
_SNR_DB = (-5.0, 25.0)
"""Of the noisy copy that heads are fitted on beside each take, as in the recipe of the voice."""


class FoldError(CredenceError):
    """Runs that are not the six folds of one recipe."""

    def __init__(self, run: Path, problem: str) -> None:
        super().__init__(
            f"{run}: {problem}; make it with `credence-train fit train/recipes/voice.yaml"
            f" --data DIR --run {run} --fold {run.name.removeprefix('fold-')}/{FOLDS}`"
        )
        self.run, self.problem = run, problem


@dataclass(frozen=True, slots=True, eq=False)
class Hearing:
    """Embeddings of one fold's network."""

    fold: int
    """From 0."""
    clean: Floats
    """(N, 256) of every take."""
    noisy: Floats
    """(N, 256) of a noisy copy of every take."""
    spoilt: dict[str, Floats]
    """By corruption, (n, 256) of the takes of actors that the network never heard."""


def hear(takes: Takes, folder: Path) -> list[Hearing]:
    """Let every fold's network hear the takes; FoldError unless `folder/fold-1` … `-6` are runs."""
    networks = [network(folder / f"fold-{k + 1}", k) for k in range(FOLDS)]
    everyone = np.arange(len(takes.truth))
    clean = _tensors(takes, everyone, CLEAN)
    noisy = _tensors(takes, everyone, ANY_NOISE)
    hearings = []
    for k, engine in enumerate(networks):
        unheard = np.flatnonzero(takes.fold == k)
        spoilt = {c: _embed(engine, _tensors(takes, unheard, c)) for c in HEARD if c != CLEAN}
        hearings.append(Hearing(k, _embed(engine, clean), _embed(engine, noisy), spoilt))
    return hearings


def network(run: Path, fold: int) -> Exported:
    """Open the run of a fold, from 0; FoldError for any other, RunError for none."""
    recipe, _, engine = read_run(run)
    if recipe.kind != "voice" or recipe.fold != (fold + 1, FOLDS):
        raise FoldError(run, f"is no voice network of fold {fold + 1}/{FOLDS}")
    return engine


def _tensors(takes: Takes, rows: Classes, condition: str) -> list[Array]:
    """Return the segments (n, 1, 64, 300) of some takes, as live ones are."""
    return [
        tensor(VoiceWindow(0.0, spoil(takes.pcm[i], condition, np.random.default_rng(int(i)))))
        for i in rows
    ]


def spoil(pcm: Array, condition: str, rng: np.random.Generator) -> Array:
    """Return a voice (samples,) under a condition."""
    if condition == CLEAN:
        return pcm
    if condition == ANY_NOISE:
        condition = f"noise:{rng.uniform(*_SNR_DB)}"
    changed = corruption(condition).apply(pcm, rng)
    assert not isinstance(changed, str)
    return changed


@torch.inference_mode()
def _embed(engine: Exported, takes: list[Array]) -> Floats:
    """Return the mean embedding (n, D) of each take's segments."""
    rows = torch.from_numpy(np.concatenate(takes))
    embedding = torch.cat([engine.network(part)[1] for part in torch.split(rows, _BATCH)])
    sizes = [len(take) for take in takes]
    return np.stack([part.double().mean(dim=0).numpy() for part in torch.split(embedding, sizes)])
