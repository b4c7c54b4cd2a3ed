"""Training texts, varied: what a transcript may say instead of what was said.

All randomness comes from ``rng``. What is left runs through the engines' own preprocessing.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from engines.preprocess import text
from train.mishear import Alike, by_sound, mishear, misspelt
from train.recipe import TextAugment


def texts(
    items: Sequence[str], how: TextAugment, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Return the buckets (B, 48 * 28) of varied texts; of a long one, its first row.

    Casing needs no variation: preprocessing takes it away. Words are misheard as others of the
    same batch.
    """
    said = [text.words(item) for item in items]
    alike = by_sound(word for words in said for word in words) if how.mishear else {}
    return np.stack([_vary(words, alike, how, rng) for words in said])


def _vary(
    said: list[str], alike: Alike, how: TextAugment, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    if rng.random() < how.unmark:
        said = [word for word in said if word[0].isalnum()] or said
    if how.mishear:
        said = mishear(said, rng.uniform(0, how.mishear), alike, rng)
    chance = rng.random(len(said))
    heard = [
        misspelt(word, rng) if c < how.drop + how.misspell else word
        for word, c in zip(said, chance, strict=True)
        if c >= how.drop
    ]
    row: npt.NDArray[np.int64] = text.buckets(heard or said)[0]
    row[rng.random(len(row)) < how.pieces] = 0
    return row
