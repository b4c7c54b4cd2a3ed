"""What training LDDU makes small. B samples, M modalities, L labels; Y (B, L) is 0 or 1.

Every function returns a mean, a scalar.
"""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, normalize

from train.models.lddu import Predicted
from train.multilabel.recipe import LdduLoss

NOBODY = -1
"""The class of a place in the queue that nothing has taken yet."""


@dataclass(frozen=True, slots=True, eq=False)
class Queue:
    """The latest distributions, for the contrast to compare with."""

    points: Tensor
    """(Q, 2Z)."""
    classes: Tensor
    """(Q,) int64, NOBODY where there is none yet."""

    @classmethod
    def empty(cls, places: int, width: int, where: torch.device) -> Self:
        """Return a queue with places for points of a width."""
        points = torch.zeros(places, width, device=where)
        return cls(points, torch.full((places,), NOBODY, device=where))

    def pushed(self, points: Tensor, classes: Tensor) -> "Queue":
        """Return the queue with new points (N, 2Z) in front, the oldest ones gone."""
        places = len(self.classes)
        return Queue(
            torch.cat([points.detach(), self.points])[:places],
            torch.cat([classes, self.classes])[:places],
        )


def loss(
    how: LdduLoss, said: Predicted, targets: Tensor, queue: Queue, correctness: Tensor
) -> tuple[Tensor, Queue]:
    """Return what a recipe makes small, and the queue for the next batch.

    ``correctness`` (B, M) is that of earlier epochs, NaN where there is none.
    """
    yes, no = said.log_probability
    total = -(targets * yes + (1 - targets) * no).mean()
    total = total + how.features * binary_cross_entropy_with_logits(said.by_features, targets)
    if how.own:
        total = total + how.own * own(said, targets)
    if how.contrast and said.mean.shape[3]:
        points, classes = placed(said, targets)
        total = total + how.contrast * contrast(points, classes, queue, how.temperature)
        queue = queue.pushed(points, classes)
    if how.calibration and said.mean.shape[3]:
        spread = said.spread_by_modality
        known = torch.where(said.there, correctness, torch.nan)
        total = total + how.calibration * calibration(spread, known)
    return total, queue


def own(said: Predicted, targets: Tensor) -> Tensor:
    """BCE of each modality's own prediction, over those that are there (ours)."""
    wanted = targets[:, None].expand_as(said.own)
    each = binary_cross_entropy_with_logits(said.own, wanted, reduction="none").mean(dim=2)
    return (each * said.there).sum() / said.there.sum().clamp(min=1)


def placed(said: Predicted, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return the points [μ/‖μ‖; σ/‖σ‖] (N, 2Z) of the modalities that are there, and their classes.

    A class (N,) int64 is one of 2·M·L: modality x label x absent or present.
    """
    points = torch.cat([normalize(said.mean, dim=3), normalize(said.deviation, dim=3)], dim=3)
    modalities, labels = said.own.shape[1:]
    place = torch.arange(modalities * labels, device=targets.device).reshape(modalities, labels)
    classes = 2 * place + targets[:, None].long()  # (B, M, L)
    return points[said.there].flatten(0, 1), classes[said.there].flatten()


def contrast(points: Tensor, classes: Tensor, queue: Queue, temperature: float) -> Tensor:
    """Pull points (N, 2Z) of a class together and those of others apart; 0 where none is alike.

    Supervised contrastive loss (Khosla et al. 2020, eq. 2), the queue's points compared with but
    not anchors. The mean over a point's equals is taken as the point times the sum of its class.
    """
    taken = queue.classes != NOBODY
    others = torch.cat([points, queue.points[taken]])  # (N + Q, 2Z), each point first itself
    kinds = torch.cat([classes, queue.classes[taken]])
    alike = (points / temperature @ others.T).fill_diagonal_(-torch.inf)  # (N, N + Q)
    count = kinds.bincount()  # (C,)
    sums = others.new_zeros(len(count), others.shape[1]).index_add(0, kinds, others)  # (C, 2Z)
    equals = count[classes] - 1  # (N,)
    pulled = (points * (sums[classes] - points)).sum(dim=1) / temperature
    each: Tensor = torch.logsumexp(alike, dim=1) - pulled / equals.clamp(min=1)
    has = equals > 0
    return torch.where(has, each, 0.0).sum() / has.sum().clamp(min=1)


def calibration(spread: Tensor, correctness: Tensor) -> Tensor:
    """Of two samples, the one that was less often right shall have the larger spread.

    Both (B, M), compared within a modality; NaN takes no part. A hinge over all pairs: the spread
    shall be larger by as much as the correctness is smaller (Moon et al. 2020, with all pairs in
    place of neighbours: ours). This is the paper's intent; its released code pulls the other way,
    and leaves its ordinal term out.
    """
    worse = correctness[None] - correctness[:, None]  # (B, B, M): by how much i is worse than j
    wider = spread[:, None] - spread[None]
    pairs = worse > 0  # no NaN is
    lacking = torch.where(pairs, worse - wider, 0.0).clamp(min=0)
    return lacking.sum() / pairs.sum().clamp(min=1)


def correct(how: LdduLoss, said: Predicted, targets: Tensor) -> Tensor:
    """Return how right each sample is now, (B, M) in [0, 1]; NaN where a modality is absent.

    The probability given to the truth, mean over labels, of the modality's own prediction (ours)
    or of the joint one.
    """
    p = torch.sigmoid(said.own) if how.correctness == "own" else said.probability[:, None]
    right = 1 - (p - targets[:, None]).abs().mean(dim=2)  # (B, M) or (B, 1)
    return torch.where(said.there, right, torch.nan).detach()


@dataclass(frozen=True, slots=True, eq=False)
class Correctness:
    """How right each of N training samples was in the epochs so far, by modality."""

    total: Tensor
    """(N, M), changed in place."""
    times: Tensor
    """(N, M) epochs in which the modality was there, changed in place."""

    @classmethod
    def none(cls, samples: int, modalities: int, where: torch.device) -> Self:
        """Return that of samples before the first epoch."""
        shape = (samples, modalities)
        return cls(torch.zeros(shape, device=where), torch.zeros(shape, device=where))

    def mean(self, samples: Tensor) -> Tensor:
        """Return the running correctness (B, M) of some samples; NaN where there is none yet."""
        return self.total[samples] / self.times[samples]

    def add(self, samples: Tensor, right: Tensor) -> None:
        """Take in how right some samples were this time, (B, M); NaN adds nothing."""
        self.total[samples] += right.nan_to_num()
        self.times[samples] += (~right.isnan()).float()
