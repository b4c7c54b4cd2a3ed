"""Training of several emotions at once, from recipe to run folder, read from top to bottom.

The same call continues an interrupted run to the same weights.
"""

import math
from pathlib import Path

import numpy as np
import torch
from rich.progress import Progress
from torch import nn
from torch.utils.tensorboard import SummaryWriter

from engines.errors import CredenceError
from engines.manifest import BUNDLES, read_manifest
from train.data.samples import DataError
from train.data.sequences import Floats, Parts, Sequences, read_sequences
from train.fit import device_of, schedule, shuffled
from train.models.lddu import Lddu, Unimodal
from train.multilabel.judge import chosen, judge, micro_f1_error, one
from train.multilabel.losses import correct, loss
from train.multilabel.metrics import scores
from train.multilabel.recipe import LdduRecipe
from train.multilabel.run import Best, MultilabelResults, State, finish, resume, save
from train.run import claim

OURS = "matched"
"""The corpus of sequences that the shipped encoders made."""
_BLOCK = 1024


def fit(
    recipe: LdduRecipe, data: Path, run: Path, *, device: str = "", stop_after: int | None = None
) -> None:
    """Train a recipe on its corpus, or continue its training, in a run folder.

    ``stop_after`` ends this call after so many epochs in all. Raises RunError if the folder
    belongs to another recipe, and what reading the data raises.
    """
    device_of(device)  # a wrong name is said before the corpus is read
    train(recipe, read_sequences(recipe.corpus, data), run, device=device, stop_after=stop_after)


def train(
    recipe: LdduRecipe,
    parts: Parts,
    run: Path,
    *,
    device: str = "",
    stop_after: int | None = None,
) -> None:
    """Train a recipe on samples, as `fit` does."""
    _check_labels(recipe.corpus, parts)
    claim(run, recipe)
    state = resume(recipe, parts.train, run, device_of(device))
    if not state.epoch:
        _scale(state.network, parts.train)
    last = min(stop_after or recipe.optimise.epochs, recipe.optimise.epochs)
    with SummaryWriter(str(run), purge_step=state.epoch) as log, Progress() as progress:
        for note in parts.notes:
            progress.console.print(note, highlight=False, soft_wrap=True)
        bar = progress.add_task(recipe.name, total=last, completed=state.epoch)
        while state.epoch < last:
            mean = _train_epoch(recipe, state, parts.train)
            state.epoch += 1
            score = _validate(state, parts.valid)
            log.add_scalar("loss", mean, state.epoch)
            log.add_scalar("valid/micro_f1", score, state.epoch)
            progress.console.print(f"epoch {state.epoch}: loss {mean:.4f}; micro-F1 {score:.3f}")
            save(state, run)
            progress.advance(bar)
    if state.epoch == recipe.optimise.epochs:
        results = _results(recipe, state, parts)
        finish(run, results)
        for part, figures in results.metrics.items():
            said = ", ".join(
                f"{name} {value:.3f}" for name, value in figures.items() if name != "n"
            )
            print(f"{part}, epoch {results.epoch}: {said}")


def _check_labels(corpus: str, parts: Parts) -> None:
    known = parts.train.targets.any(axis=0)
    asked = parts.valid.targets.any(axis=0) | parts.test.targets.any(axis=0)
    if (unknown := asked & ~known).any():
        names = ", ".join(np.array(parts.train.labels)[unknown])
        raise DataError(
            Path(corpus), f"{names} is held out but nowhere trained on; mend the corpus's parts"
        )


def _train_epoch(recipe: LdduRecipe, state: State, samples: Sequences) -> float:
    how, where = recipe.optimise, state.network.labels.device
    # Everything random follows from seed and epoch, so that a checkpoint needs no generators.
    rng = np.random.default_rng([recipe.seed, state.epoch])
    torch.manual_seed(int(rng.integers(2**31)))
    batches = shuffled(len(samples), how.batch, rng)
    state.network.train()
    total = 0.0
    for i, batch in enumerate(batches):
        done = (state.epoch * len(batches) + i + 1) / (how.epochs * len(batches))
        for group in state.optimiser.param_groups:
            group["lr"] = how.rate * schedule(done, how.warmup)
        rows = list(samples.batch(batch).values())  # M of (B, T, D)
        leave_out(rows, recipe.drop, rng)
        targets = torch.from_numpy(samples.targets[batch]).to(where)  # (B, L)
        which = torch.from_numpy(batch).to(where)
        said = state.network([torch.from_numpy(r).to(where) for r in rows])
        before = state.correctness.mean(which)  # (B, M)
        mean, state.queue = loss(recipe.loss, said, targets, state.queue, before)
        state.optimiser.zero_grad()
        mean.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(state.network.parameters(), 5.0)
        state.optimiser.step()
        state.correctness.add(which, correct(recipe.loss, said, targets))
        if not math.isfinite(mean.item()):
            raise CredenceError("the loss is no number any more; lower optimise.rate in the recipe")
        total += mean.item() * len(batch)
    return total / len(samples)


def leave_out(rows: list[Floats], chance: float, rng: np.random.Generator) -> None:
    """Make modalities (B, T, D) absent by chance, in place; a sample that would lose all keeps all.

    The chance is that of each modality of each sample by itself.
    """
    if not chance:
        return
    there = np.stack([r.any(axis=(1, 2)) for r in rows], axis=1)  # (B, M)
    gone = there & (rng.random(there.shape) < chance)
    gone[(gone == there).all(axis=1)] = False
    for m, r in enumerate(rows):
        r[gone[:, m]] = 0


def _validate(state: State, valid: Sequences) -> float:
    """Return the micro-F1 under the best threshold, and keep the weights if they are the best."""
    probability, truth = judge(state.network, valid).probability, valid.targets > 0
    shown = probability >= one(probability, truth)
    score = scores(truth, shown)["micro_f1"]
    state.best = Best.after(state.best, score, micro_f1_error(truth, shown), state)
    return score


def _results(recipe: LdduRecipe, state: State, parts: Parts) -> MultilabelResults:
    """Choose thresholds on the validation part, for the weights of the best epoch."""
    assert state.best is not None, "an epoch is done"
    state.network.load_state_dict(state.best.weights)
    held = {"valid": parts.valid, "test": parts.test}
    said = {name: judge(state.network, part).probability for name, part in held.items()}
    thresholds = chosen(said["valid"], parts.valid.targets > 0)
    return MultilabelResults(
        epoch=state.best.epoch,
        labels=parts.train.labels,
        parts={m: (pool.shape[1], pool.shape[2]) for m, pool in parts.train.pools.items()},
        engines={kind: read_manifest(BUNDLES / kind)[1] for kind in parts.train.pools}
        if recipe.corpus == OURS
        else {},
        thresholds=tuple(round(float(t), 4) for t in thresholds),
        metrics={
            name: dict(scores(part.targets > 0, said[name] >= thresholds))
            for name, part in held.items()
        },
    )


@torch.no_grad()
def _scale(network: Lddu, train: Sequences) -> None:
    """Set the mean and deviation of each modality's rows that training samples have."""
    for (name, pool), modality in zip(train.pools.items(), network.modalities, strict=True):
        assert isinstance(modality, Unimodal), "each is"
        used = np.unique(train.rows[name][train.rows[name] >= 0])
        sums, squares, count = np.zeros(pool.shape[2]), np.zeros(pool.shape[2]), 0
        for i in range(0, len(used), _BLOCK):
            rows = pool[used[i : i + _BLOCK]].reshape(-1, pool.shape[2]).astype(np.float64)
            rows = rows[rows.any(axis=1)]
            sums, squares = sums + rows.sum(axis=0), squares + (rows**2).sum(axis=0)
            count += len(rows)
        mean = sums / max(count, 1)
        deviation = np.sqrt(np.maximum(squares / max(count, 1) - mean**2, 0))
        modality.centre.copy_(torch.from_numpy(mean))
        modality.scale.copy_(torch.from_numpy(np.where(deviation < 1e-6, 1.0, deviation)))
