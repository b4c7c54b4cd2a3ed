"""Networks: a tensor of preprocessing → logits and embedding."""

from torch import nn

from train.models.face import FaceNetwork
from train.models.text import TextNetwork
from train.models.voice import VoiceNetwork
from train.recipe import FaceRecipe, Recipe, TextRecipe


def build(recipe: Recipe) -> nn.Module:
    """Return the untrained network of a recipe: (B, ...) → logits (B, 7), embedding (B, D)."""
    if isinstance(recipe, TextRecipe):
        return TextNetwork(recipe.network)
    network = FaceNetwork if isinstance(recipe, FaceRecipe) else VoiceNetwork
    return network(recipe.network)
