"""Inputs like those of a bundle's reference, so that there are enough to compare plans on."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from engines.manifest import Modality, Part
from engines.preprocess.text import BUCKETS, PIECES, WORDS

_SEED: Final = 0
_ABSENT: Final = 0.25
"""The share of modalities that are left out."""


def pictures(reference: npt.NDArray[np.float32], count: int) -> npt.NDArray[np.float32]:
    """Return mixes of the rows (n, 1, H, W), shifted, with noise; mean 0 and deviation 1 each."""
    random = np.random.default_rng(_SEED)
    shares = random.dirichlet(np.full(len(reference), 0.3), count)
    mixed = np.einsum("cn,nkhw->ckhw", shares, reference)
    for row in mixed:
        row[:] = np.roll(row, random.integers(-8, 9, 2), axis=(1, 2))
    level = random.uniform(0, 0.7, (count, 1, 1, 1)) * random.integers(0, 2, (count, 1, 1, 1))
    mixed += level * random.normal(size=mixed.shape)
    mixed -= mixed.mean(axis=(1, 2, 3), keepdims=True)
    mixed /= np.maximum(mixed.std(axis=(1, 2, 3), keepdims=True), 1e-3)
    return np.asarray(mixed, dtype=np.float32)


def words(reference: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int64]:
    """Return rows (count, 1344) of the reference's words and made-up ones in any order."""
    random = np.random.default_rng(_SEED)
    known = reference.reshape(-1, PIECES)
    known = known[known.any(axis=1)]
    rows = np.zeros((count, WORDS, PIECES), dtype=np.int64)
    for row, length in zip(rows, random.integers(1, WORDS + 1, count), strict=True):
        row[:length] = known[random.integers(0, len(known), length)]
        strange = np.flatnonzero(random.uniform(size=length) < random.uniform())
        made_up = random.integers(1, BUCKETS, (len(strange), PIECES))
        row[strange] = made_up * (row[strange] > 0)
    return rows.reshape(count, -1)


def sequences(
    reference: npt.NDArray[np.float32], parts: Mapping[Modality, Part], count: int
) -> npt.NDArray[np.float32]:
    """Return rows (count, S, W) of each modality's own rows, mixed, with noise, of any length.

    What is to their right and below stays zeros, and some modalities are absent.
    """
    random = np.random.default_rng(_SEED)
    varied = np.zeros((count, *reference.shape[1:]), dtype=np.float32)
    start = 0
    for part in parts.values():
        place = np.s_[:, start : start + part.length, : part.width]
        known = reference[place].reshape(-1, part.width)
        known = known[known.any(axis=1)]
        for row in varied[place] if len(known) else ():
            length = int(random.integers(1, part.length + 1) * (random.uniform() >= _ABSENT))
            row[:length] = _mixed(known, length, random)
        start += part.length
    return varied


def _mixed(
    known: npt.NDArray[np.float32], count: int, random: np.random.Generator
) -> npt.NDArray[np.float32]:
    one, other = known[random.integers(0, len(known), (2, count))]
    share = random.uniform(size=(count, 1))
    noise = random.uniform(0, 0.7) * known.std() * random.normal(size=one.shape)
    return np.asarray(share * one + (1 - share) * other + noise, dtype=np.float32)
