"""Networks: a tensor of preprocessing → logits and embedding."""

from torch import nn

from train.models.face import FaceNetwork
from train.models.voice import VoiceNetwork
from train.recipe import Recipe


def build(recipe: Recipe) -> nn.Module:
    """Return the untrained network of a recipe: (B, ...) → logits (B, 7), embedding (B, D)."""
    network = {"face": FaceNetwork, "voice": VoiceNetwork}[recipe.kind]
    return network(recipe.network)
