"""Texts about a person → open emotion words: which of those that are mentioned are meant.

An explanation mentions many emotions and means a few: what it ends with, says more than once,
calls a feeling, and does not deny. A logistic model weighs that; `train.mentions` fits it.
"""

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from math import log
from typing import Final

import numpy as np
import numpy.typing as npt

from engines.lexicon import Label, Shade, forms

_WORD: Final = re.compile(r"[a-z]+(?:['-][a-z]+)*")
_SENTENCE: Final = re.compile(r"(?<=[.!?;])\s*")
_FEELING_WORDS: Final = (
    "emotion emotions emotional feeling feelings feel feels mood sense attitude state tone express"
    " expresses expressing infer inferred"
)
_FEELING: Final = frozenset(_FEELING_WORDS.split())
_DENIAL: Final = frozenset(("not", "no", "without", "less", "lack", "never", "rather"))
_HEDGE: Final = frozenset(("may", "might", "possibly", "perhaps", "seem", "seems", "or", "could"))

FEATURES: Final = (
    "times",
    "place",
    "in_last",
    "in_last_two",
    "feeling",
    "denied",
    "hedged",
    "first_place",
    "intensity",
    "strength",
    "same_valence",
    "same_emotion",
    "neutral",
    "alone",
)
"""Of a mentioned word: how often it is mentioned (logarithm), how late at last and at first (0 to
1), whether near a word such as feeling, a denial or a hedge; the lexicon's intensity and valence;
how far the valence and the emotion are those of all that is mentioned; one over their number."""


@dataclass(slots=True)
class _Mention:
    shade: Shade
    times: int = 0
    place: float = 0.0
    first: float = 1.0
    last: bool = False
    last_two: bool = False
    feeling: bool = False
    denied: bool = False
    hedged: bool = False

    @property
    def weight(self) -> float:
        """How much it counts for what a text is about."""
        return self.times * (0.3 + self.place**2)


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """A logistic model over `FEATURES`."""

    slopes: npt.NDArray[np.float64]
    bias: float
    threshold: float
    """What is as probable as this is meant."""

    def probabilities(self, features: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return how probable it is (n,) that words with these features (n, 14) are meant."""
        p: npt.NDArray[np.float64] = 1 / (1 + np.exp(-(features @ self.slopes + self.bias)))
        return p


@cache
def fitted() -> Weights:
    """Return the model that is shipped."""
    text = (resources.files("engines") / "mentions.json").read_text(encoding="utf-8")
    found = json.loads(text)
    slopes = np.array([found["slopes"][name] for name in FEATURES])
    return Weights(slopes, found["bias"], found["threshold"])


def labels_in(text: str, weights: Weights | None = None) -> tuple[Label, ...]:
    """Return the words of the lexicon that an English text means, the surest first.

    Of a text that mentions any, at least one.
    """
    model = weights or fitted()
    words, features = mentioned(text)
    if not words:
        return ()
    sure = model.probabilities(features)
    meant = (sure >= model.threshold) | (sure == sure.max())
    found = [Label(w, round(float(p), 3)) for w, p, m in zip(words, sure, meant, strict=True) if m]
    return tuple(sorted(found, key=lambda label: -label.confidence))


def mentioned(text: str) -> tuple[list[str], npt.NDArray[np.float64]]:
    """Return the words (n) of the lexicon that a text mentions, and their `FEATURES` (n, 14)."""
    found = list(_mentions(text).values())
    return [each.shade.word for each in found], _features(found)


def _mentions(text: str) -> Mapping[str, _Mention]:
    sentences = [part for part in _SENTENCE.split(text.strip()) if part.strip()]
    found: dict[str, _Mention] = {}
    for number, sentence in enumerate(sentences, 1):
        words = _WORD.findall(sentence.lower())
        for at, word in enumerate(words):
            if shade := forms().get(word):
                mention = found.setdefault(shade.word, _Mention(shade))
                _count(mention, words, at, number, len(sentences))
    return found


def _count(mention: _Mention, words: Sequence[str], at: int, number: int, of: int) -> None:
    before, near = set(words[max(0, at - 6) : at]), set(words[max(0, at - 6) : at + 4])
    mention.times += 1
    mention.place = max(mention.place, number / of)
    mention.first = min(mention.first, (number - 1) / of)
    mention.last |= number == of
    mention.last_two |= number >= of - 1
    mention.feeling |= bool(near & _FEELING)
    mention.denied |= bool(set(words[max(0, at - 3) : at]) & _DENIAL)
    mention.hedged |= bool(before & _HEDGE)


def _features(found: Sequence[_Mention]) -> npt.NDArray[np.float64]:
    total = sum(each.weight for each in found)
    valence = sum(each.weight * each.shade.valence for each in found) / max(total, 1e-9)
    share: dict[str, float] = defaultdict(float)
    for each in found:
        share[each.shade.emotion] += each.weight / total
    rows = [
        (
            log(each.times),
            each.place,
            each.last,
            each.last_two,
            each.feeling,
            each.denied,
            each.hedged,
            each.first,
            each.shade.intensity,
            abs(each.shade.valence),
            each.shade.valence * valence,
            share[each.shade.emotion],
            each.shade.emotion == "neutral",
            1 / len(found),
        )
        for each in found
    ]
    return np.array(rows, np.float64).reshape(-1, len(FEATURES))
