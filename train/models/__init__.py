"""Networks: a tensor of preprocessing → logits and embedding; heads: those → evidence."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from train.lesson import read_lesson
from train.models.calibrated import Calibrated
from train.models.edl import Edl
from train.models.face import FaceNetwork
from train.models.text import TextNetwork
from train.models.voice import VoiceNetwork
from train.recipe import CalibratedHead, EdlHead, FaceRecipe, Recipe, RecipeError, TextRecipe


class Exported(nn.Module):
    """A network with its head, as it is exported."""

    def __init__(self, network: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.network, self.head = network, head

    def forward(self, batch: Tensor) -> tuple[Tensor, ...]:
        """(B, ...) → evidence (B, 7) ≥ 0, embedding (B, D) and, unless of faces, sequence."""
        logits, embedding, *sequence = self.network(batch)
        return self.head(logits, embedding), embedding, *sequence


def build(recipe: Recipe) -> nn.Module:
    """Return the untrained network of a recipe: (B, ...) → logits (B, 7), embedding (B, D).

    Of voice and text also what it saw along time (B, T, C), rows of zeros where there was nothing.
    """
    if isinstance(recipe, TextRecipe):
        return TextNetwork(recipe.network)
    network = FaceNetwork if isinstance(recipe, FaceRecipe) else VoiceNetwork
    return network(recipe.network)


def begin(recipe: Recipe, *networks: nn.Module) -> None:
    """Give untrained networks what the recipe's lesson knows of words, if it has one."""
    if not isinstance(recipe, TextRecipe) or not recipe.lesson:
        return
    table = torch.from_numpy(read_lesson(recipe.lesson).table)
    if table.shape[1] != recipe.network.width:
        raise RecipeError(
            recipe.lesson, f"has words of width {table.shape[1]}; set network.width to that"
        )
    for network in networks:
        if isinstance(network, TextNetwork):
            network.table.weight = table.to(network.table.weight)


def build_head(head: CalibratedHead | EdlHead, fitted: Mapping[str, Tensor]) -> nn.Module:
    """Return a recipe's head with what was fitted: logits (B, 7), embedding (B, D) → evidence."""
    if isinstance(head, EdlHead):
        return Edl(head.evidence, **fitted)
    return Calibrated(**fitted)
