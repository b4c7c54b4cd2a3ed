"""The run folder: what training leaves, so that it can go on, be exported and be looked at.

It holds `recipe.json`, `checkpoint.pt` (after every epoch), at the end `head.pt`, pictures and
`results.json`, and TensorBoard's `events.*`.
"""

import contextlib
import copy
import io
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from engines.errors import CredenceError
from train.models import Exported, build, build_head
from train.multilabel.recipe import LdduRecipe
from train.recipe import AnyRecipe, Recipe, RecipeError, parse_any
from train.results import Results


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


def claim(run: Path, recipe: AnyRecipe) -> None:
    """Make a folder the run of a recipe; raise RunError if it is another's or not to be written."""
    found = recipe_of(run)
    if found is not None and found != recipe and (run / "checkpoint.pt").exists():
        raise RunError(run, "holds the run of another recipe; name a new folder with --run")
    make(run)
    write(run / "recipe.json", recipe.model_dump_json(indent=2).encode())


def make(run: Path) -> None:
    """Make a run's folder if there is none; raise RunError if that is impossible."""
    try:
        run.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(run, f"cannot be written ({error.strerror})") from error


def resume(recipe: Recipe, run: Path, where: torch.device) -> State:
    """Return the state of the last checkpoint, or that of the beginning."""
    torch.manual_seed(recipe.seed)
    network = build(recipe).to(where, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=recipe.optimise.decay)
    state = State(network, copy.deepcopy(network).requires_grad_(False), optimiser)
    if not (run / "checkpoint.pt").exists():
        (run / "results.json").unlink(missing_ok=True)  # of a checkpoint that is gone
        return state
    try:
        content = torch.load(run / "checkpoint.pt", map_location=where, weights_only=True)
        state.network.load_state_dict(content["network"])
        state.average.load_state_dict(content["average"])
        state.optimiser.load_state_dict(content["optimiser"])
        state.epoch = content["epoch"]
    except Exception as error:  # torch raises whatever its unpacking meets
        raise RunError(run, "checkpoint.pt is damaged; delete it to train again") from error
    return state


def save(state: State, run: Path) -> None:
    """Write the checkpoint."""
    content = {
        "network": state.network.state_dict(),
        "average": state.average.state_dict(),
        "optimiser": state.optimiser.state_dict(),
        "epoch": state.epoch,
    }
    write(run / "checkpoint.pt", packed(content))


def finish(run: Path, head: nn.Module, results: Results) -> None:
    """Write the head and, last of all, the results: a run that has them is whole."""
    write(run / "head.pt", packed(head.state_dict()))
    write(run / "results.json", results.model_dump_json(indent=2).encode())


def read_run(run: Path) -> tuple[Recipe, Results, Exported]:
    """Return the recipe, results and engine of a finished run; RunError if it is not finished."""
    recipe, path = recipe_of(run), run / "results.json"
    if recipe is None or isinstance(recipe, LdduRecipe) or not path.exists():
        raise RunError(run, "no finished run; finish it with `credence-train fit`")
    state = resume(recipe, run, torch.device("cpu"))
    if state.epoch != recipe.optimise.epochs:
        raise RunError(
            run, f"no finished run, only {state.epoch} epochs; finish it with `credence-train fit`"
        )
    try:
        results = Results.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise RunError(run, "results.json is damaged; run `credence-train fit` again") from error
    try:
        head = build_head(recipe.head, torch.load(run / "head.pt", weights_only=True))
    except Exception as error:  # as above
        raise RunError(run, "head.pt is damaged; run `credence-train fit` again") from error
    return recipe, results, Exported(state.average, head).eval()


def write(path: Path, content: bytes) -> None:
    """Write a file of the run whole or not at all; raise RunError if that is impossible."""
    beside = path.with_name(path.name + ".tmp")
    try:
        beside.write_bytes(content)
        beside.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise RunError(path.parent, f"cannot be written ({error.strerror})") from error


def recipe_of(run: Path) -> AnyRecipe | None:
    """Return the recipe of a run's folder, None if it is no run; raise RunError if damaged."""
    path = run / "recipe.json"
    try:
        return parse_any(json.loads(path.read_text(encoding="utf-8")), path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, RecursionError, RecipeError) as error:
        raise RunError(run, "recipe.json is damaged; name a new folder with --run") from error


def packed(content: dict[str, object] | dict[str, Tensor]) -> bytes:
    """Return what `torch.load` reads."""
    archive = io.BytesIO()
    torch.save(content, archive)
    return archive.getvalue()
