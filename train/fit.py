"""Training, from recipe to run folder, read from top to bottom.

A run folder holds `recipe.json`, `checkpoint.pt` (after every epoch), `results.json` (at the end)
and TensorBoard's `events.*`. The same call continues an interrupted run to the same weights.
"""

import contextlib
import copy
import io
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from pydantic import ValidationError
from rich.progress import Progress
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from engines.errors import CredenceError
from engines.fusion import averaging
from engines.opinion import Opinion
from engines.runtime import Batch
from train import augment, prepare
from train.calibrate import temperature
from train.data.samples import Input
from train.metrics import scores
from train.models import begin, build
from train.models.calibrated import evidence
from train.prepare import Held
from train.recipe import Recipe, RecipeError, parse_recipe
from train.results import Results

_VALID_BATCH = 256


class RunError(CredenceError):
    """A run folder that cannot be used."""

    def __init__(self, run: Path, problem: str) -> None:
        super().__init__(f"{run}: {problem}")
        self.run, self.problem = run, problem


@dataclass(slots=True)
class State:
    """All that changes while training."""

    network: nn.Module
    average: nn.Module
    """The running mean of the network's weights, which is what is validated and exported."""
    optimiser: torch.optim.Optimizer
    epoch: int = 0
    """Epochs done."""


def fit(
    recipe: Recipe, data: Path, run: Path, *, device: str = "", stop_after: int | None = None
) -> None:
    """Train a recipe, or continue its training, in a run folder.

    ``stop_after`` ends this call after so many epochs in all. Raises RunError if the folder
    belongs to another recipe.
    """
    where = _device(device)
    _claim(run, recipe)
    items, targets = prepare.training(recipe, data)
    held = prepare.held_out(recipe, data)
    weight = torch.from_numpy(prepare.balance(targets, recipe.optimise.balance)).to(where)
    state = _resume(_start(recipe, where), run, where)
    if not state.epoch:
        begin(recipe, state.network, state.average)
        (run / "results.json").unlink(missing_ok=True)  # of a checkpoint that is gone
    last = min(stop_after or recipe.optimise.epochs, recipe.optimise.epochs)
    with SummaryWriter(str(run), purge_step=state.epoch) as log, Progress() as progress:
        bar = progress.add_task(recipe.name, total=last, completed=state.epoch)
        while state.epoch < last:
            loss = _train_epoch(recipe, state, items, targets, weight, where)
            state.epoch += 1
            figures = _figures(held, [_logits(state.average, h, where) for h in held], 1.0)
            _report(log, progress, state.epoch, loss, figures)
            _save(state, run)
            progress.advance(bar)
    if state.epoch == recipe.optimise.epochs:
        _finish(state, held, run, where)


def read_run(run: Path) -> tuple[Recipe, Results, nn.Module]:
    """Return the recipe, results and network of a finished run; RunError if it is not finished."""
    recipe, path = _recipe_of(run), run / "results.json"
    if recipe is None or not path.exists():
        raise RunError(run, "no finished run; finish it with `credence-train fit`")
    state = _resume(_start(recipe, torch.device("cpu")), run, torch.device("cpu"))
    if state.epoch != recipe.optimise.epochs:
        raise RunError(
            run, f"no finished run, only {state.epoch} epochs; finish it with `credence-train fit`"
        )
    try:
        results = Results.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise RunError(run, "results.json is damaged; run `credence-train fit` again") from error
    return recipe, results, state.average.eval()


def _device(name: str) -> torch.device:
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
    batches = _batches(len(items), how.batch, rng)
    state.network.train()
    total = 0.0
    for i, batch in enumerate(batches):
        step = state.epoch * len(batches) + i
        for group in state.optimiser.param_groups:
            group["lr"] = how.rate * _schedule((step + 1) / (how.epochs * len(batches)), how.warmup)
        x = prepare.vary(recipe, [items[j] for j in batch], rng)  # (B, ...)
        y = (1 - how.smoothing) * targets[batch] + how.smoothing / targets.shape[1]  # (B, 7)
        augment.mixup(x, y, how.mixup, rng)
        with torch.autocast(where.type, torch.bfloat16, enabled=how.precision == "bfloat16"):
            logits, _ = state.network(_to(x, where))  # (B, 7)
        logs = torch.log_softmax(logits.float(), dim=1)
        loss = -(weight * torch.from_numpy(y).to(where) * logs).sum(dim=1).mean()
        state.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(state.network.parameters(), 5.0)
        state.optimiser.step()
        _average(state, min(how.average, (step + 1) / (step + 10)))
        if not math.isfinite(loss.item()):
            raise CredenceError("the loss is no number any more; lower optimise.rate in the recipe")
        total += loss.item() * len(batch)
    return total / sum(map(len, batches))


def _start(recipe: Recipe, where: torch.device) -> State:
    torch.manual_seed(recipe.seed)
    network = build(recipe).to(where, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=recipe.optimise.decay)
    return State(network, copy.deepcopy(network).requires_grad_(False), optimiser)


def _batches(n: int, size: int, rng: np.random.Generator) -> list[npt.NDArray[np.int64]]:
    order = rng.permutation(n)
    count = max(1, n // size)
    return np.array_split(order, count)


def _schedule(done: float, warmup: float) -> float:
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
def _logits(network: nn.Module, held: Held, where: torch.device) -> Tensor:
    """Return the logits (M, 7) of every row, in full precision."""
    network.eval()
    cuts = range(0, len(held.rows), _VALID_BATCH)
    return torch.cat([network(_to(held.rows[i : i + _VALID_BATCH], where))[0].cpu() for i in cuts])


def _figures(held: list[Held], logits: list[Tensor], heat: float) -> dict[str, dict[str, float]]:
    """Return the scores of each corpus and each of its strata, decided as an engine decides."""
    figures: dict[str, dict[str, float]] = {}
    for part, scored in zip(held, logits, strict=True):
        rows = evidence(scored / heat).numpy()
        opinions = [
            averaging([Opinion.from_evidence(e) for e in rows[own]]) for own in prepare.owners(part)
        ]
        guess = np.array([opinion.projected.argmax() for opinion in opinions])
        figures[part.name] = scores(part.truth, guess)
        for stratum in sorted(set(part.strata) - {part.name}):
            of = np.array([s == stratum for s in part.strata])
            figures[stratum] = scores(part.truth[of], guess[of])
    return figures


def _report(
    log: SummaryWriter,
    progress: Progress,
    epoch: int,
    loss: float,
    figures: dict[str, dict[str, float]],
) -> None:
    log.add_scalar("loss", loss, epoch)
    for part, values in figures.items():
        for name in ("accuracy", "uar"):
            log.add_scalar(f"{part}/{name}", values[name], epoch)
    seen = ", ".join(f"{p} {v['accuracy']:.3f} ({v['uar']:.3f})" for p, v in figures.items())
    progress.console.print(f"epoch {epoch}: loss {loss:.4f}; accuracy (uar) {seen}")


def _finish(state: State, held: list[Held], run: Path, where: torch.device) -> None:
    """Fit the temperature and write the results."""
    logits = [_logits(state.average, part, where) for part in held]
    truth = np.concatenate([part.truth[part.owner] for part in held])
    heat = temperature(torch.cat(logits).double().numpy(), truth)
    results = Results(
        temperature=heat,
        n=sum(len(part.truth) for part in held),
        metrics=_figures(held, logits, heat),
    )
    _replace(run / "results.json", results.model_dump_json(indent=2).encode())


def _claim(run: Path, recipe: Recipe) -> None:
    found = _recipe_of(run)
    if found is not None and found != recipe:
        raise RunError(run, "holds the run of another recipe; name a new folder with --run")
    try:
        run.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(run, f"cannot be written ({error.strerror})") from error
    _replace(run / "recipe.json", recipe.model_dump_json(indent=2).encode())


def _recipe_of(run: Path) -> Recipe | None:
    path = run / "recipe.json"
    try:
        return parse_recipe(json.loads(path.read_text(encoding="utf-8")), path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, RecursionError, RecipeError) as error:
        raise RunError(run, "recipe.json is damaged; name a new folder with --run") from error


def _save(state: State, run: Path) -> None:
    content = {
        "network": state.network.state_dict(),
        "average": state.average.state_dict(),
        "optimiser": state.optimiser.state_dict(),
        "epoch": state.epoch,
    }
    packed = io.BytesIO()
    torch.save(content, packed)
    _replace(run / "checkpoint.pt", packed.getvalue())


def _resume(state: State, run: Path, where: torch.device) -> State:
    path = run / "checkpoint.pt"
    if not path.exists():
        return state
    try:
        content = torch.load(path, map_location=where, weights_only=True)
        state.network.load_state_dict(content["network"])
        state.average.load_state_dict(content["average"])
        state.optimiser.load_state_dict(content["optimiser"])
        state.epoch = content["epoch"]
    except Exception as error:  # torch raises whatever its unpacking meets
        raise RunError(run, "checkpoint.pt is damaged; delete it to train again") from error
    return state


def _to(batch: Batch, where: torch.device) -> Tensor:
    pictures = batch.ndim == 4
    layout = torch.channels_last if pictures else torch.contiguous_format
    return torch.from_numpy(batch).to(where, memory_format=layout)


def _replace(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    beside = path.with_name(path.name + ".tmp")
    try:
        beside.write_bytes(content)
        beside.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise RunError(path.parent, f"cannot be written ({error.strerror})") from error
