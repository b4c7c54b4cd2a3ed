"""The run folder of a recipe of kind `lddu`, which holds what `train.run` says, but no head."""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from train.data.sequences import Sequences
from train.models.lddu import Lddu
from train.multilabel.losses import Correctness, Queue
from train.multilabel.recipe import LdduRecipe
from train.run import RunError, packed, recipe_of, write


class MultilabelResults(BaseModel):
    """results.json: the outcome of a finished run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epoch: int = Field(ge=1)
    """The epoch whose weights are exported, chosen on the validation part as `Best` says."""
    labels: tuple[str, ...]
    parts: dict[str, tuple[int, int]]
    """By modality, in the network's order: rows of a sequence, numbers in a row."""
    engines: dict[str, str]
    """By modality, the hash of the encoder whose sequences these are; empty where none is ours."""
    thresholds: tuple[float, ...]
    """By label, the probability from which it counts as shown, chosen on the validation part."""
    metrics: dict[str, dict[str, float]]
    """By part, `valid` and `test`; the test part chose nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Best:
    """The epoch to be exported so far: the last that is within a standard error of the best.

    By the micro-F1 on the validation part; spreads go on learning when labels no longer do (ours).
    """

    epoch: int
    score: float
    """The best of all epochs."""
    floor: float
    """A standard error below it."""
    weights: dict[str, Tensor]

    @classmethod
    def after(cls, before: "Best | None", score: float, error: float, now: "State") -> "Best":
        """Return the best after one more epoch, which reached a score with a standard error."""
        if before and score < before.floor:
            return before
        weights = copy.deepcopy(now.network.state_dict())
        if before and score <= before.score:
            return cls(now.epoch, before.score, before.floor, weights)
        return cls(now.epoch, score, score - error, weights)


@dataclass(slots=True)
class State:
    """All that changes while training."""

    network: Lddu
    optimiser: torch.optim.Optimizer
    queue: Queue
    correctness: Correctness
    epoch: int = 0
    """Epochs done."""
    best: Best | None = None


def resume(recipe: LdduRecipe, train: Sequences, run: Path, where: torch.device) -> State:
    """Return the state of the last checkpoint, or that of the beginning."""
    torch.manual_seed(recipe.seed)
    network = Lddu(recipe.network, list(train.widths.values()), len(train.labels)).to(where)
    state = State(
        network,
        torch.optim.Adam(network.parameters()),
        Queue.empty(recipe.loss.queue, 2 * recipe.network.latent, where),
        Correctness.none(len(train), len(train.widths), where),
    )
    if not (run / "checkpoint.pt").exists():
        (run / "results.json").unlink(missing_ok=True)  # of a checkpoint that is gone
        return state
    content = _checkpoint(run, where)
    try:
        network.load_state_dict(content["network"])
        state.optimiser.load_state_dict(content["optimiser"])
        state.queue = Queue(*content["queue"])
        state.correctness = Correctness(*content["correctness"])
        state.epoch = content["epoch"]
        state.best = Best(*content["best"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise RunError(run, "was trained on other data; name a new folder with --run") from error
    if len(state.correctness.total) != len(train):
        raise RunError(run, "was trained on other data; name a new folder with --run")
    return state


def save(state: State, run: Path) -> None:
    """Write the checkpoint."""
    best = state.best
    assert best is not None, "an epoch is done"
    content: dict[str, object] = {
        "network": state.network.state_dict(),
        "optimiser": state.optimiser.state_dict(),
        "queue": (state.queue.points, state.queue.classes),
        "correctness": (state.correctness.total, state.correctness.times),
        "epoch": state.epoch,
        "best": (best.epoch, best.score, best.floor, best.weights),
    }
    write(run / "checkpoint.pt", packed(content))


def finish(run: Path, results: MultilabelResults) -> None:
    """Write the results: a run that has them is whole."""
    write(run / "results.json", results.model_dump_json(indent=2).encode())


def read_run(run: Path) -> tuple[LdduRecipe, MultilabelResults, Lddu]:
    """Return the recipe, results and best network of a finished run; RunError if not finished."""
    recipe, path = recipe_of(run), run / "results.json"
    if not isinstance(recipe, LdduRecipe) or not path.exists():
        raise RunError(run, "no finished run of kind lddu; finish it with `credence-train fit`")
    try:
        results = MultilabelResults.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise RunError(run, "results.json is damaged; run `credence-train fit` again") from error
    widths = [width for _, width in results.parts.values()]
    network = Lddu(recipe.network, widths, len(results.labels))
    network.load_state_dict(_checkpoint(run, torch.device("cpu"))["best"][3])
    return recipe, results, network.eval()


def _checkpoint(run: Path, where: torch.device) -> dict[str, Any]:
    try:
        content: dict[str, Any] = torch.load(
            run / "checkpoint.pt", map_location=where, weights_only=True
        )
    except Exception as error:  # torch raises whatever its unpacking meets
        raise RunError(run, "checkpoint.pt is damaged; delete it to train again") from error
    return content
