"""What a trained network says of samples, and from which probability a label counts as shown."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from train.data.sequences import Sequences
from train.models.lddu import Lddu
from train.multilabel.metrics import label_f1, micro_f1

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

_BATCH = 256
_FOLDS = 5
CANDIDATES: Final = np.linspace(0.02, 0.98, 97, dtype=np.float32)
"""The thresholds that are tried."""


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What a network says of N samples."""

    probability: Floats
    """(N, L)."""
    spread: Floats
    """(N, L) ≥ 0, over the modalities that are there."""
    spread_by_modality: Floats
    """(N, M) ≥ 0, over the labels; 0 where a modality is absent."""


@torch.inference_mode()
def judge(network: Lddu, samples: Sequences) -> Judged:
    """Let a network judge samples, on the device that it is on; it is set to evaluation."""
    network.eval()
    where = network.labels.device
    outs = []
    for i in range(0, len(samples), _BATCH):
        batch = samples.batch(np.arange(i, min(i + _BATCH, len(samples))))
        said = network([torch.from_numpy(rows).to(where) for rows in batch.values()])
        outs.append((said.probability, said.spread, said.spread_by_modality))
    return Judged(*(torch.cat(part).cpu().numpy() for part in zip(*outs, strict=True)))


def chosen(probability: Floats, truth: Bools) -> Floats:
    """Return a threshold for each label (L,): one for all, or each its own where that is better.

    Better is the higher micro-F1 on each fifth of the samples (N, L) under the thresholds of the
    others (**ours**).
    """
    fold = np.arange(len(truth)) % _FOLDS

    def held_out(choose: Callable[[Floats, Bools], Floats]) -> float:
        shown = np.zeros_like(truth)
        for k in range(_FOLDS):
            own = fold == k
            shown[own] = probability[own] >= choose(probability[~own], truth[~own])
        return micro_f1(truth, shown)

    return max(one, each, key=held_out)(probability, truth)


def one(probability: Floats, truth: Bools) -> Floats:
    """Return the same threshold for every label (L,), that of the best micro-F1."""
    found = [micro_f1(truth, probability >= threshold) for threshold in CANDIDATES]
    return np.full(truth.shape[1], CANDIDATES[int(np.argmax(found))])


def each(probability: Floats, truth: Bools) -> Floats:
    """Return a threshold for each label (L,), that of its own best F1."""
    found = [label_f1(truth, probability >= threshold) for threshold in CANDIDATES]
    best: Floats = CANDIDATES[np.argmax(found, axis=0)]
    return best


def micro_f1_error(truth: Bools, shown: Bools) -> float:
    """Return the standard error of the micro-F1 of samples (N, L), as of any ratio of two sums."""
    hits, decided = 2 * (truth & shown).sum(axis=1), truth.sum(axis=1) + shown.sum(axis=1)
    left = hits - micro_f1(truth, shown) * decided
    return float(np.sqrt((left**2).sum()) / max(decided.sum(), 1))
