"""The head `calibrated` (ours): evidence that is only as strong as the network is right."""

import torch
from torch import Tensor, nn

from engines.opinion import LEAST_UNCERTAINTY

COMMON = 0.995
"""As far out as this share of held-out inputs, evidence is whole."""
_LEAST = 1e-6
_NEAREST = 1e-12


class Calibrated(nn.Module):
    """Temperature, the chance of being right, and the distance from what was trained on.

    With p = softmax(logits / T): 1 - u = ĉ·d, b = (1 - u)·p, e = K·b / u. ĉ is the chance that
    argmax p is right, log-odds(ĉ) = log-odds(max p) + w·signs(p). d in [0, 1] is 1 where the
    embedding is no stranger than 99.5 % of held-out ones, and falls to 0 from there.
    """

    temperature: Tensor
    weights: Tensor
    centres: Tensor
    whiten: Tensor
    tail: Tensor

    def __init__(
        self, temperature: Tensor, weights: Tensor, centres: Tensor, whiten: Tensor, tail: Tensor
    ) -> None:
        """Take what was fitted.

        ``temperature`` (), ``weights`` (12,), ``centres`` (≤ K, D) of the classes' embeddings,
        whitened by ``whiten`` (D, D), and ``tail`` (2,), the 99.5 % quantile and the deviation of
        held-out embeddings' log distance.
        """
        super().__init__()
        for name, value in (
            *(("temperature", temperature), ("weights", weights)),
            *(("centres", centres), ("whiten", whiten), ("tail", tail)),
        ):
            self.register_buffer(name, value)

    def forward(self, logits: Tensor, embedding: Tensor) -> Tensor:
        """(B, K), (B, D) → evidence (B, K) ≥ 0."""
        p = torch.softmax(logits / self.temperature, dim=1)
        near = familiarity(distance(embedding, self.centres, self.whiten), self.tail)
        sure = (chance(p, self.weights) * near).clamp(max=1 - LEAST_UNCERTAINTY)[:, None]
        return logits.shape[1] * sure * p / (1 - sure)


def signs(p: Tensor) -> Tensor:
    """Return what tells right from wrong in probabilities (B, 7): (B, 12).

    1, log-odds of the highest, which class it is of, logs of the three highest.
    """
    best, order = p.topk(3, dim=1)
    guess = (order[:, :1] == torch.arange(p.shape[1], device=p.device)).to(p.dtype)
    return torch.cat([torch.ones_like(p[:, :1]), _odds(p), guess, best.clamp(min=_LEAST).log()], 1)


def chance(p: Tensor, weights: Tensor) -> Tensor:
    """Return ĉ (B,) in (0, 1), the chance that the highest of p (B, 7) is right."""
    return torch.sigmoid(_odds(p)[:, 0] + signs(p) @ weights)


def distance(embedding: Tensor, centres: Tensor, whiten: Tensor) -> Tensor:
    """Return the log Mahalanobis distance (B,) of embeddings (B, D) to the nearest class."""
    apart = (embedding @ whiten)[:, None] - centres  # (B, K, D)
    return apart.square().sum(dim=2).amin(dim=1).clamp(min=_NEAREST).log() / 2


def familiarity(distance: Tensor, tail: Tensor) -> Tensor:
    """Return d (B,) in [0, 1] for log distances (B,): exp(-x²/2), x deviations beyond the tail."""
    beyond = ((distance - tail[0]) / tail[1]).clamp(min=0)
    return (-beyond.square() / 2).exp()


def _odds(p: Tensor) -> Tensor:
    top = p.amax(dim=1, keepdim=True).clamp(max=1 - _LEAST)
    return (top / (1 - top)).log()
