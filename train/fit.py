"""Training, from recipe to run folder, read from top to bottom.

The same call continues an interrupted run to the same weights.
"""

import math
import re
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from rich.progress import Progress
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from engines.errors import CredenceError
from engines.runtime import Batch
from train import augment, prepare
from train.data.samples import Input
from train.density import Gaussians, gaussians
from train.losses import loss
from train.measure import Heard, decisions, finished
from train.metrics import scores
from train.models import begin
from train.prepare import Held
from train.recipe import Recipe
from train.run import State, claim, finish, resume, save

_VALID_BATCH = 256


def fit(
    recipe: Recipe, data: Path, run: Path, *, device: str = "", stop_after: int | None = None
) -> None:
    """Train a recipe, or continue its training, in a run folder.

    ``stop_after`` ends this call after so many epochs in all. Raises RunError if the folder
    belongs to another recipe, and what reading the data raises.
    """
    where = device_of(device)
    claim(run, recipe)
    items, targets, left_out = prepare.training(recipe, data)
    held = prepare.held_out(recipe, data)
    unseen = prepare.check_classes(data, targets, held)
    weight = torch.from_numpy(prepare.balance(targets, recipe.optimise.balance)).to(where)
    state = resume(recipe, run, where)
    if not state.epoch:
        begin(recipe, state.network, state.average)
    last = min(stop_after or recipe.optimise.epochs, recipe.optimise.epochs)
    with SummaryWriter(str(run), purge_step=state.epoch) as log, Progress() as progress:
        for problem in (*left_out, *(problem for part in held for problem in part.unreadable)):
            progress.console.print(f"left out: {problem}", highlight=False, soft_wrap=True)
        if unseen:
            progress.console.print(f"nobody shows {', '.join(unseen)}; it will never be seen")
        bar = progress.add_task(recipe.name, total=last, completed=state.epoch)
        while state.epoch < last:
            mean = _train_epoch(recipe, state, items, targets, weight, where)
            state.epoch += 1
            _report(log, progress, state.epoch, mean, [_hear(state, h, where) for h in held])
            save(state, run)
            progress.advance(bar)
    if state.epoch == recipe.optimise.epochs:
        heard = [_hear(state, part, where) for part in held]
        finish(run, *finished(recipe, heard, _known(recipe, state, items, targets, where), run))


def device_of(name: str) -> torch.device:
    """Return the device of a name, or the best there is; raise CredenceError if it is not."""
    if name and not re.fullmatch(r"cpu|cuda(:\d{1,2})?", name):
        raise CredenceError(f"{name!r} is no device; use cpu, cuda or cuda:1")
    try:
        device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise CredenceError(f"torch has no device {name} here; use cpu or cuda") from error
    return device


def _train_epoch(
    recipe: Recipe,
    state: State,
    items: list[Input],
    targets: npt.NDArray[np.float32],
    weight: Tensor,
    where: torch.device,
) -> float:
    how = recipe.optimise
    # Everything random follows from seed and epoch, so that a checkpoint needs no generators.
    rng = np.random.default_rng([recipe.seed, state.epoch])
    torch.manual_seed(int(rng.integers(2**31)))
    batches = shuffled(len(items), how.batch, rng)
    state.network.train()
    total = 0.0
    for i, batch in enumerate(batches):
        step = state.epoch * len(batches) + i
        done = (step + 1) / (how.epochs * len(batches))
        for group in state.optimiser.param_groups:
            group["lr"] = how.rate * schedule(done, how.warmup)
        x = prepare.vary(recipe, [items[j] for j in batch], rng)  # (B, ...)
        y = (1 - how.smoothing) * targets[batch] + how.smoothing / targets.shape[1]  # (B, 7)
        augment.mixup(x, y, how.mixup, rng)
        with torch.autocast(where.type, torch.bfloat16, enabled=how.precision == "bfloat16"):
            logits, *_ = state.network(_to(x, where))  # (B, 7)
        mean = loss(recipe.head, logits.float(), torch.from_numpy(y).to(where), weight, done).mean()
        state.optimiser.zero_grad()
        mean.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(state.network.parameters(), 5.0)
        state.optimiser.step()
        _average(state, min(how.average, (step + 1) / (step + 10)))
        if not math.isfinite(mean.item()):
            raise CredenceError("the loss is no number any more; lower optimise.rate in the recipe")
        total += mean.item() * len(batch)
    return total / sum(map(len, batches))


def shuffled(n: int, size: int, rng: np.random.Generator) -> list[npt.NDArray[np.int64]]:
    """Return the numbers below n in random order, in even batches of about a size."""
    order = rng.permutation(n)
    count = max(1, n // size)
    return np.array_split(order, count)


def schedule(done: float, warmup: float) -> float:
    """Return the share of the highest rate after a share of all steps."""
    if done < warmup:
        return done / warmup
    return 0.5 + 0.5 * math.cos(math.pi * (done - warmup) / max(1 - warmup, 1e-9))


@torch.no_grad()
def _average(state: State, memory: float) -> None:
    news = state.network.state_dict()
    for name, mean in state.average.state_dict().items():
        if mean.is_floating_point():
            mean.lerp_(news[name], 1 - memory)
        else:
            mean.copy_(news[name])


@torch.inference_mode()
def _hear(state: State, held: Held, where: torch.device) -> Heard:
    """Let the averaged network judge every row, in full precision."""
    state.average.eval()
    cuts = range(0, len(held.rows), _VALID_BATCH)
    outs = [state.average(_to(held.rows[i : i + _VALID_BATCH], where))[:2] for i in cuts]
    logits, embedding = (torch.cat(out).cpu() for out in zip(*outs, strict=True))
    return Heard(held, logits, embedding)


@torch.inference_mode()
def _known(
    recipe: Recipe,
    state: State,
    items: list[Input],
    targets: npt.NDArray[np.float32],
    where: torch.device,
) -> Gaussians:
    """Fit what was trained on, as it is without augmentation."""
    plain = recipe.model_copy(update={"augment": type(recipe.augment)()})
    rng, embeddings = np.random.default_rng(recipe.seed), []
    for i in range(0, len(items), _VALID_BATCH):
        x = prepare.vary(plain, items[i : i + _VALID_BATCH], rng)
        embeddings.append(state.average(_to(x, where))[1].cpu().double().numpy())
    return gaussians(np.concatenate(embeddings), targets.astype(np.float64))


def _report(
    log: SummaryWriter, progress: Progress, epoch: int, loss: float, heard: list[Heard]
) -> None:
    log.add_scalar("loss", loss, epoch)
    seen = []
    for part in heard:
        values = scores(part.held.truth, decisions(part))
        for name in ("accuracy", "uar"):
            log.add_scalar(f"{part.held.name}/{name}", values[name], epoch)
        seen.append(f"{part.held.name} {values['accuracy']:.3f} ({values['uar']:.3f})")
    progress.console.print(f"epoch {epoch}: loss {loss:.4f}; accuracy (uar) {', '.join(seen)}")


def _to(batch: Batch, where: torch.device) -> Tensor:
    pictures = batch.ndim == 4
    layout = torch.channels_last if pictures else torch.contiguous_format
    return torch.from_numpy(batch).to(where, memory_format=layout)
