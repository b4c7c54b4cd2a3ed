"""Networks: a tensor of preprocessing → logits and embedding."""

import torch
from torch import nn

from train.lesson import read_lesson
from train.models.face import FaceNetwork
from train.models.text import TextNetwork
from train.models.voice import VoiceNetwork
from train.recipe import FaceRecipe, Recipe, RecipeError, TextRecipe


def build(recipe: Recipe) -> nn.Module:
    """Return the untrained network of a recipe: (B, ...) → logits (B, 7), embedding (B, D)."""
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
