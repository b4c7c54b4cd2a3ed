"""What training makes small: how far a batch's scores are from what people saw or heard.

Every function takes the batch's rows apart and returns a loss each, (B,). K classes, logits and
targets are (B, K); each row of the targets sums to 1 (the share of the votes of each class).
"""

import torch
from torch import Tensor

from engines.opinion import LEAST_UNCERTAINTY
from train.models.edl import evidence_of
from train.recipe import CalibratedHead, EdlHead


def loss(
    head: CalibratedHead | EdlHead, logits: Tensor, targets: Tensor, weight: Tensor, done: float
) -> Tensor:
    """Return the loss (B,) that a recipe's head asks for.

    ``weight`` (K,) counts rare classes more; ``done`` in [0, 1] is the share of all steps.
    """
    if isinstance(head, EdlHead):
        evidence = evidence_of(logits, head.evidence)
        confidence = 1 - logits.shape[1] / (evidence.sum(dim=1) + logits.shape[1])
        strength = min(1.0, done / head.anneal) if head.anneal else 1.0
        main = edl(evidence, targets, weight) + strength * divergence(evidence, targets)
    else:
        confidence = torch.softmax(logits, dim=1).amax(dim=1)
        main = cross_entropy(logits, targets, weight)
    if not head.trust:
        return main
    right = logits.argmax(dim=1) == targets.argmax(dim=1)
    return main + head.trust * trusted(confidence, right)


def cross_entropy(logits: Tensor, targets: Tensor, weight: Tensor) -> Tensor:
    """-Σ w·y·log softmax(logits)."""
    return -(weight * targets * torch.log_softmax(logits, dim=1)).sum(dim=1)


def edl(evidence: Tensor, targets: Tensor, weight: Tensor) -> Tensor:
    """Σ w·y·(ψ(S) - ψ(α)): cross-entropy, expected under Dir(α) (Sensoy et al. 2018, eq. 4)."""
    alpha = evidence + 1
    expected = torch.digamma(alpha.sum(dim=1, keepdim=True)) - torch.digamma(alpha)
    return (weight * targets * expected).sum(dim=1)


def divergence(evidence: Tensor, targets: Tensor) -> Tensor:
    """KL(Dir(α̃) ‖ Dir(1)), α̃ = e·(1 - y) + 1: evidence for what was not seen (ibid., eq. 5)."""
    alpha = evidence * (1 - targets) + 1
    total = alpha.sum(dim=1, keepdim=True)
    classes = torch.tensor(float(alpha.shape[1]), device=alpha.device)
    constant = torch.lgamma(total[:, 0]) - torch.lgamma(alpha).sum(dim=1) - torch.lgamma(classes)
    return constant + ((alpha - 1) * (torch.digamma(alpha) - torch.digamma(total))).sum(dim=1)


def trusted(confidence: Tensor, right: Tensor) -> Tensor:
    """BCE(1 - u, right): the second part of Trusted CE (ours).

    ``confidence`` (B,) = 1 - u is differentiated, ``right`` (B,), bool, is not.
    """
    sure = confidence.clamp(LEAST_UNCERTAINTY, 1 - LEAST_UNCERTAINTY)
    return -torch.where(right, sure.log(), (1 - sure).log())
