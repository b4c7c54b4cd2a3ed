"""What a recogniser of speech may write down instead of a word that was said (ours)."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from string import ascii_lowercase

import numpy as np

Alike = Mapping[str, Sequence[str]]
"""Words by what they sound like."""

_WORD = re.compile(r"\w+(?:['’]\w+)*")
_SOUNDS = str.maketrans("bfpvcgjkqsxzdtlmnr", "111122222222334556")


def mishear(said: Sequence[str], rate: float, alike: Alike, rng: np.random.Generator) -> list[str]:
    """Return words with about ``rate`` errors a word, never none where some were said.

    Of ten errors six put a word of the same sound in its place (a misspelling where ``alike``
    holds none), two leave the word out, two add another one behind it. Marks stay as they are.
    """
    heard: list[str] = []
    sounds = list(alike)
    for word in said:
        error = rng.random() / rate if rate else 1.0
        if error >= 0.8 or not _WORD.search(word):
            heard.append(word)
        elif error < 0.6:
            heard.append(_similar(word, alike, rng))
        if sounds and 0.8 <= error < 1.0:
            others = alike[sounds[int(rng.integers(len(sounds)))]]
            heard.append(others[int(rng.integers(len(others)))])
    return heard or list(said)


def by_sound(texts: Iterable[str]) -> Alike:
    """Return the words of texts by what they sound like, in small letters, in a fixed order."""
    alike: dict[str, set[str]] = defaultdict(set)
    for text in texts:
        for word in _WORD.findall(text.lower()):
            alike[sound_of(word)].add(word)
    return {sound: sorted(words) for sound, words in sorted(alike.items())}


@lru_cache(maxsize=1 << 16)
def sound_of(word: str) -> str:
    """Return what a word sounds like: its first letter and the classes of its consonants.

    As Soundex, but of any length and without its rule for h and w.
    """
    low = word.lower()
    coded = re.sub(r"(.)\1+", r"\1", low[1:].translate(_SOUNDS))
    return low[:1] + re.sub(r"[^1-6]", "", coded)


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


def _similar(word: str, alike: Alike, rng: np.random.Generator) -> str:
    found = _WORD.search(word)
    bare = found[0].lower() if found else word
    others = [other for other in alike.get(sound_of(bare), ()) if other != bare]
    return others[rng.integers(len(others))] if others else misspelt(bare, rng)
