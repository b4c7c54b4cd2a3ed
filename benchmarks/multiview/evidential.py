"""The published evidential systems, as linear evidence nets trained by their own losses."""

from collections.abc import Callable
from itertools import combinations
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from benchmarks.multiview.data import Features, Views
from engines.fusion import Rule, combine
from engines.opinion import Opinion
from train.calibrate import Float
from train.losses import divergence, edl

STEPS: Final = 500
_BATCH: Final = 200
_ANNEALED: Final = 0.1
"""Share of the steps after which the KL term counts in full (50 of 500 epochs, as published)."""

Fuse = Callable[[list[Tensor]], Tensor]
"""Evidence (B, K) of every view → fused evidence (B, K)."""


def dempster(evidence: list[Tensor]) -> Tensor:
    """Differentiable `engines.fusion.dempster`."""
    classes = evidence[0].shape[1]
    return classes * torch.expm1(sum((torch.log1p(e / classes) for e in evidence), torch.zeros(())))


def average(evidence: list[Tensor]) -> Tensor:
    """Differentiable `engines.fusion.averaging`."""
    return torch.stack(evidence).mean(dim=0)


def fit(train: Views, seed: int, fuse: Fuse, conflict_weight: float = 0.0) -> nn.ModuleList:
    """Train a net a view, each by EDL and their fusion too; one view alone is plain EDL.

    ``conflict_weight`` adds ECML's mean degree of conflict between the views.
    """
    torch.manual_seed(seed)
    inputs = [torch.tensor(x, dtype=torch.float32) for x in train.features]
    targets = torch.eye(int(train.truth.max()) + 1)[train.truth]
    nets = nn.ModuleList(nn.Linear(x.shape[1], targets.shape[1]) for x in inputs)
    optimiser = torch.optim.Adam(nets.parameters(), lr=0.03, weight_decay=1e-5)
    even = torch.ones(targets.shape[1])
    for step in range(STEPS):
        rows = torch.randint(len(targets), (_BATCH,))
        evidence = [softplus(net(x[rows])) for net, x in zip(nets, inputs, strict=True)]
        strength = min(1.0, step / (_ANNEALED * STEPS))
        judged = [*evidence, fuse(evidence)] if len(evidence) > 1 else evidence
        stacked, wanted = torch.cat(judged), targets[rows].repeat(len(judged), 1)
        losses = edl(stacked, wanted, even) + strength * divergence(stacked, wanted)
        cost = losses.sum() / _BATCH
        if conflict_weight:
            cost = cost + conflict_weight * _conflict(evidence)
        optimiser.zero_grad()
        cost.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return nets


@torch.inference_mode()
def probabilities(nets: nn.ModuleList, features: Features, rule: Rule) -> Float:
    """Return the projected probabilities (N, K) of the nets' opinions, combined."""
    pairs = zip(nets, features, strict=True)
    evidence = [softplus(net(torch.tensor(x, dtype=torch.float32))) for net, x in pairs]
    return combine([Opinion.from_evidence(e.double().numpy()) for e in evidence], rule).projected


def _conflict(evidence: list[Tensor]) -> Tensor:
    """Return ECML's mean degree of conflict over pairs of views, as in `engines.fusion`."""
    classes = evidence[0].shape[1]
    strengths = [e.sum(dim=1, keepdim=True) + classes for e in evidence]
    projected = [(e + 1) / s for e, s in zip(evidence, strengths, strict=True)]
    sure = [1 - classes / s[:, 0] for s in strengths]
    degrees = [
        0.5 * (projected[i] - projected[j]).abs().sum(dim=1) * sure[i] * sure[j]
        for i, j in combinations(range(len(evidence)), 2)
    ]
    return torch.stack(degrees).mean()
