"""Weights of few bits: trained as they will be stored, stored in whole bytes.

Every row of a matrix has a scale; its values are whole multiples of it: [-7, 7] in 4 bits, two a
byte, or [-127, 127] in 8. The network computes with floats as before; only its files are smaller.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize


class Rounded(nn.Module):
    """A weight as the nearest one of few bits; the gradient passes as if it were not rounded.

    Bengio et al. 2013 (straight-through estimator).
    """

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.bits = bits

    def forward(self, weight: Tensor) -> Tensor:
        """(R, ...) → (R, ...)."""
        whole, scale = _whole(weight.detach(), self.bits)
        return weight + (whole * scale - weight.detach())

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Return a weight that is set as it is; it is rounded whenever it is read."""
        return weight


class Packed(nn.Module):
    """A rounded weight out of its bytes."""

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.bits = bits

    def forward(self, stored: Tensor, scale: Tensor) -> Tensor:
        """Bytes (R, C / 2) of 4 bits or (R, ...) of 8, scales (R, 1...) → weight (R, ...)."""
        whole = stored.float()
        if self.bits == 4:
            high = torch.floor(whole / 16)  # not every runtime shifts bytes
            whole = torch.stack([high - 8, whole - 16 * high - 8], dim=2).flatten(1)
        return whole * scale

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Return the bytes and scales of a weight; of 4 bits (R, C) with C even."""
        whole, scale = _whole(weight, self.bits)
        if self.bits == 8:
            return whole.to(torch.int8), scale
        return (16 * (whole[:, 0::2] + 8) + whole[:, 1::2] + 8).to(torch.uint8), scale


def rounded(layer: nn.Module, bits: int) -> Any:
    """Return the layer, whose weight (R, ...) is rounded from now on."""
    return parametrize.register_parametrization(layer, "weight", Rounded(bits), unsafe=True)


def pack(network: nn.Module) -> None:
    """Make bytes of the rounded weights in place: it computes the same, and cannot learn any more.

    Networks that were copied from it or that it was copied from are of no use then (torch keeps
    the weight as a property of a class that copies share).
    """
    network.requires_grad_(False)
    for layer in list(network.modules()):
        if parametrize.is_parametrized(layer, "weight"):
            bits = layer.parametrizations["weight"][0].bits  # type: ignore[index,union-attr]
            parametrize.remove_parametrizations(layer, "weight")
            parametrize.register_parametrization(layer, "weight", Packed(bits), unsafe=True)


def _whole(weight: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    """Return whole numbers (R, ...) and scales (R, 1...), whose product is close to the weight."""
    most = 2 ** (bits - 1) - 1
    scale = weight.flatten(1).abs().amax(dim=1).clamp(min=1e-8) / most
    scale = scale.reshape(-1, *[1] * (weight.ndim - 1))
    return torch.round(weight / scale), scale
