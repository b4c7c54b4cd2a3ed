"""The block that both networks are made of (He et al. 2016)."""

import torch
from torch import Tensor, nn

from train.recipe import Network


class Residual(nn.Module):
    """Two 3x3 convolutions beside a shortcut: (B, C, H, W) → (B, D, H/s, W/s)."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            *convolution(before, after, stride), nn.ReLU(), *convolution(after, after, 1)
        )
        self.shortcut = (
            nn.Identity()
            if before == after and stride == 1
            else nn.Sequential(nn.Conv2d(before, after, 1, bias=False), nn.BatchNorm2d(after))
        )
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Add what the convolutions find to what was there."""
        # Not the convolution's own stride: on few channels its gradient is written past its end.
        seen = x[:, :, :: self.stride, :: self.stride]
        return torch.relu(self.main(x) + self.shortcut(seen))


def convolution(before: int, after: int, stride: int) -> list[nn.Module]:
    """Return a 3x3 convolution and its normalisation."""
    return [nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after)]


def trunk(network: Network, stem_stride: int) -> nn.Sequential:
    """Return the stem and the blocks of a network: (B, 1, H, W) → (B, widths[-1], h, w)."""
    widths = [network.stem, *network.widths]
    blocks = [
        Residual(before, after, stride)
        for before, after, stride in zip(widths, widths[1:], network.strides, strict=False)
    ]
    return nn.Sequential(*convolution(1, network.stem, stem_stride), nn.ReLU(), *blocks)
