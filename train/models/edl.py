"""The head `edl`: the network's logits are evidence, of which a held-out part takes the measure."""

from typing import Literal

import torch
from torch import Tensor, nn

_MOST_LOG = 14.0
"""exp of it is about the evidence that leaves u = 1e-6 · 7; more would only overflow."""


class Edl(nn.Module):
    """Evidence of the logits, divided by a temperature T.

    T (ours) makes 1 - u = Σe / (Σe + K·T) the likeliest probability of being right.
    """

    temperature: Tensor

    def __init__(self, activation: Literal["softplus", "exp"], temperature: Tensor) -> None:
        super().__init__()
        self.activation = activation
        self.register_buffer("temperature", temperature)

    def forward(self, logits: Tensor, _embedding: Tensor) -> Tensor:
        """(B, K), (B, D) → evidence (B, K) ≥ 0."""
        return evidence_of(logits, self.activation) / self.temperature


def evidence_of(logits: Tensor, activation: Literal["softplus", "exp"]) -> Tensor:
    """(B, K) → evidence (B, K) ≥ 0, finite."""
    if activation == "exp":
        return logits.clamp(max=_MOST_LOG).exp()
    return torch.nn.functional.softplus(logits)
