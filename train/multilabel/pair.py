"""Moments that nobody recorded: a set of emotions, and of each modality a sample that shows it.

As `train.data.matched`, which pairs by one label: samples of different people, so what one
expresses tells nothing of what another does, beyond the labels. Ours.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from engines.manifest import Modality
from train.checks import Bools, Floats, Indices


def jaccard(one: Bools, other: Bools) -> Floats:
    """Return |A and B| / |A or B| of every two sets of (A, L) and (B, L): (A, B); no set is empty.

    >>> jaccard(np.array([[True, True]]), np.array([[True, False], [True, True]])).tolist()
    [[0.5, 1.0]]
    """
    both = one.astype(np.float64) @ other.T.astype(np.float64)
    return np.asarray(both / (one.sum(axis=1)[:, None] + other.sum(axis=1) - both))


def pair(
    sets: Mapping[Modality, Bools], n: int, seed: int
) -> tuple[Bools, dict[Modality, Indices]]:
    """Return the sets (n, L) of moments, and which sample of each modality each moment has (n,).

    ``sets`` has those (N_m, L) of every sample. A moment's set is that of a sample drawn from a
    modality drawn evenly. Each modality gives a sample whose set is nearest by Jaccard's index;
    of several one that was taken least often, drawn at random.
    """
    rng = np.random.default_rng(seed)
    kinds = list(sets)
    drawn = rng.integers(len(kinds), size=n)
    wanted = np.stack([_one_of(sets[kinds[i]], rng) for i in drawn])
    unique, which = np.unique(wanted, axis=0, return_inverse=True)
    return wanted, {kind: _nearest(own, unique, which.ravel(), rng) for kind, own in sets.items()}


def _one_of(sets: Bools, rng: np.random.Generator) -> Bools:
    return np.asarray(sets[rng.integers(len(sets))])


def _nearest(own: Bools, unique: Bools, which: Indices, rng: np.random.Generator) -> Indices:
    """Give moments whose sets are ``unique[which]`` a sample each, used evenly."""
    alike = jaccard(unique, own)  # (U, N)
    tied = [np.flatnonzero(row >= row.max() - 1e-9) for row in alike]
    used: npt.NDArray[np.int64] = np.zeros(len(own), dtype=np.int64)
    taken = np.empty(len(which), dtype=np.intp)
    for moment in rng.permutation(len(which)):
        among = tied[which[moment]]
        count = used[among]
        least = among[count == count.min()]
        taken[moment] = least[rng.integers(len(least))]
        used[taken[moment]] += 1
    return taken
