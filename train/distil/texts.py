"""Made-up texts: nobody wrote them, but the teacher can say what it hears in them.

Tang et al. 2019 (Distilling task-specific knowledge from BERT into simple neural networks) sample
n-grams and replace words; splicing two texts is ours.
"""

from collections.abc import Sequence

import numpy as np

_LONGEST = 40
"""Words."""
_REPLACED = 0.2


def made_up(texts: Sequence[str], count: int, rng: np.random.Generator) -> list[str]:
    """Return ``count`` texts of the words of others: 4 of 10 spliced, 2 cut, 4 with other words."""
    said = [words for words in (text.split() for text in texts) if words]
    heap = [word for words in said for word in words]
    made: list[str] = []
    for kind in rng.random(count):
        one, other = (said[i] for i in rng.integers(len(said), size=2))
        if kind < 0.4:
            words = _spliced(one, other, rng)
        elif kind < 0.6:
            words = _cut(one, rng)
        else:
            words = _replaced(one, heap, rng)
        made.append(" ".join(words[:_LONGEST]))
    return made


def _spliced(one: list[str], other: list[str], rng: np.random.Generator) -> list[str]:
    """Return the beginning of one and the end of the other."""
    return one[: rng.integers(1, len(one) + 1)] + other[rng.integers(len(other)) :]


def _cut(words: list[str], rng: np.random.Generator) -> list[str]:
    start = int(rng.integers(len(words)))
    return words[start : start + int(rng.integers(1, len(words) - start + 1))]


def _replaced(words: list[str], heap: list[str], rng: np.random.Generator) -> list[str]:
    return [heap[rng.integers(len(heap))] if rng.random() < _REPLACED else word for word in words]
