"""The voice network: three seconds of log-mels → seven logits."""

import torch
from torch import Tensor, nn

from engines.labels import EMOTIONS
from train.models.residual import trunk
from train.recipe import Network


class VoiceNetwork(nn.Module):
    """A small residual network over the spectrogram, pooled by mean and deviation."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.trunk = trunk(network, stem_stride=2)
        self.dropout = nn.Dropout(network.dropout)
        self.head = nn.Linear(2 * network.widths[-1], len(EMOTIONS))

    def forward(self, segments: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, 1, 64, 300) → logits (B, 7), embedding (B, 2D), every 160 ms (B, 19, D)."""
        seen = self.trunk(segments).mean(dim=2)  # (B, D, 4, 19) → (B, D, 19)
        mean = seen.mean(dim=2)
        spread = ((seen - mean[..., None]).square().mean(dim=2) + 1e-5).sqrt()
        embedding = torch.cat([mean, spread], dim=1)
        return self.head(self.dropout(embedding)), embedding, seen.transpose(1, 2)
