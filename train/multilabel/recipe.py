"""The recipe kind `lddu`: several emotions at once, from sequences; defaults are the paper's."""

from typing import Literal

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from train.part import Chance, Part


class LdduSize(Part):
    """The size of the network, and what of it is left out to see what it is good for."""

    width: PositiveInt = 256
    layers: PositiveInt = 3
    """Of each modality's transformer."""
    heads: PositiveInt = 8
    feed_forward: PositiveInt = 256
    dropout: Chance = 0.3
    hidden: tuple[PositiveInt, ...] = (192, 128)
    """Layers between a label's features and its latent distribution."""
    latent: NonNegativeInt = 128
    """Numbers of a mean and of a variance; 0 (or false) leaves latent distributions out: p = p_c,
    every spread is 0, and neither contrast nor calibration is learned."""
    together: NonNegativeInt = 0
    """Numbers in which all labels of all modalities meet before p_c (ours); 0 leaves that out, as
    the paper does."""
    fusion: Literal["uncertainty", "features"] = "uncertainty"
    """`features` leaves uncertainty-aware fusion out: p = p_c."""

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> "LdduSize":
        if self.width % self.heads:
            raise ValueError(f"width must be a multiple of heads, {self.heads}")
        return self


class LdduLoss(Part):
    """What training makes small: BCE(p) and, by these weights, what else."""

    features: NonNegativeFloat = 0.3
    """Of BCE(p_c)."""
    own: NonNegativeFloat = 0.3
    """Of the BCE of each modality's own prediction (ours)."""
    contrast: NonNegativeFloat = 1.0
    temperature: PositiveFloat = 0.07
    """Of the contrast."""
    queue: NonNegativeInt = 8192
    """Distributions of earlier samples that the contrast also compares with."""
    calibration: NonNegativeFloat = 0.3
    correctness: Literal["own", "joint"] = "own"
    """Whose running correctness a modality's spread follows: its own prediction's (ours), or that
    of all modalities together (the paper's)."""


class LdduOptimise(Part):
    """How the weights are found: Adam, a linear warm-up, then a cosine to zero."""

    epochs: PositiveInt = 30
    batch: int = Field(default=64, ge=2)
    rate: PositiveFloat = 2e-4
    """The highest learning rate."""
    warmup: Chance = 0.1
    """The share of all steps in which the rate rises."""


class LdduRecipe(Part):
    """How an engine for several emotions at once is made."""

    kind: Literal["lddu"]
    name: str
    corpus: str
    """One of `train.data.sequences.READERS`."""
    licence: str
    """Of the engine, which follows from its data."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    network: LdduSize = LdduSize()
    loss: LdduLoss = LdduLoss()
    drop: Chance = 0.0
    """How often a modality is left out of a training sample; one always stays."""
    optimise: LdduOptimise = LdduOptimise()
