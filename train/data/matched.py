"""Samples of several corpora, matched by label: one moment that nobody recorded (ours).

No corpus at hand has face, voice and words of the same people with the same labels. Pairing a
face, a voice and a text of one emotion is synthetic: what one expresses never tells anything of
what another does, beyond the label. Figures on such pairs say so: `basis: label-matched`.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from engines.labels import EMOTIONS
from engines.manifest import Modality

Classes = npt.NDArray[np.int64]


def match(truths: Mapping[Modality, Classes], n: int, seed: int) -> dict[Modality, Classes]:
    """Return n indices into each modality's samples, row by row of the same class.

    ``truths`` has a class (N_m,) for every sample of a modality. Labels occur as often as in the
    mean of the modalities. Within a class every sample of a modality is used before one is used
    again. Raises ValueError where no class is in all modalities.
    """
    counts = np.stack([np.bincount(t, minlength=len(EMOTIONS)) for t in truths.values()])
    share = (counts / counts.sum(axis=1, keepdims=True)).mean(axis=0)
    share[(counts == 0).any(axis=0)] = 0
    if not share.any():
        raise ValueError("no emotion is in the samples of all modalities")
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(EMOTIONS)), _whole(n * share / share.sum()))
    return {
        kind: np.concatenate([_take(np.flatnonzero(truth == c), k, rng) for c, k in _runs(labels)])
        for kind, truth in truths.items()
    }


def swap(truth: Classes, rng: np.random.Generator) -> Classes:
    """Return for every sample (N,) the index of another one, of another class.

    Raises ValueError where there is one class only.
    """
    if len(np.unique(truth)) < 2:
        raise ValueError("samples of one emotion cannot be swapped for others")
    return np.array([rng.choice(np.flatnonzero(truth != own)) for own in truth])


def _whole(shares: npt.NDArray[np.float64]) -> Classes:
    """Round so that the sum stays: the largest remainders are rounded up."""
    floor = np.floor(shares).astype(np.int64)
    missing = round(shares.sum()) - floor.sum()
    floor[np.argsort(floor - shares, kind="stable")[:missing]] += 1
    return floor


def _runs(labels: Classes) -> list[tuple[int, int]]:
    return [(int(c), int(k)) for c, k in zip(*np.unique(labels, return_counts=True), strict=True)]


def _take(of: Classes, k: int, rng: np.random.Generator) -> Classes:
    rounds = -(-k // len(of))
    return np.concatenate([rng.permutation(of) for _ in range(rounds)])[:k]
