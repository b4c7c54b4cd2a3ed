"""The head `calibrated` (ours): logits become evidence that is only as strong as they are right."""

import torch
from torch import Tensor, nn

from engines.opinion import LEAST_UNCERTAINTY


class Calibrated(nn.Module):
    """A network with its temperature T, as it is exported.

    p = softmax(logits / T), 1 - u = max p, b = (1 - u)·p, e = K·b / u.
    """

    def __init__(self, network: nn.Module, temperature: float) -> None:
        super().__init__()
        self.network = network
        self.temperature = temperature

    def forward(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        """(B, ...) → evidence (B, 7) ≥ 0, embedding (B, D)."""
        logits, embedding = self.network(batch)
        return evidence(logits / self.temperature), embedding


def evidence(logits: Tensor) -> Tensor:
    """Turn calibrated logits (B, K) into evidence (B, K) of uncertainty 1 - max p ≥ 1e-6."""
    p = torch.softmax(logits, dim=1)
    confidence = p.amax(dim=1, keepdim=True).clamp(max=1 - LEAST_UNCERTAINTY)
    return logits.shape[1] * confidence * p / (1 - confidence)
