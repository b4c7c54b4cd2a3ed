"""Training texts, varied: what a transcript may say instead of what was said.

All randomness comes from ``rng``. What is left runs through the engines' own preprocessing.
"""

from collections.abc import Sequence
from string import ascii_lowercase

import numpy as np
import numpy.typing as npt

from engines.preprocess import text
from train.recipe import TextAugment


def texts(
    items: Sequence[str], how: TextAugment, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Return the buckets (B, 48 * 28) of varied texts; of a long one, its first row."""
    return np.stack([_vary(item, how, rng) for item in items])


def _vary(item: str, how: TextAugment, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    said = text.words(item)
    if rng.random() < how.unmark:
        said = [word for word in said if word[0].isalnum()] or said
    chance = rng.random(len(said))
    heard = [
        misspelt(word, rng) if c < how.drop + how.misspell else word
        for word, c in zip(said, chance, strict=True)
        if c >= how.drop
    ]
    row: npt.NDArray[np.int64] = text.buckets(heard or said)[0]
    row[rng.random(len(row)) < how.pieces] = 0
    return row


def misspelt(word: str, rng: np.random.Generator) -> str:
    """Return a word with one letter changed, left out, added or swapped with the next."""
    at = int(rng.integers(len(word)))
    letter = ascii_lowercase[rng.integers(26)]
    match rng.integers(4):
        case 0:
            return word[:at] + letter + word[at + 1 :]
        case 1:
            return word[:at] + word[at + 1 :] or letter
        case 2:
            return word[:at] + letter + word[at:]
        case _:
            return word[:at] + word[at + 1 : at + 2] + word[at] + word[at + 2 :]
