"""What wrong words cost the text engine: macro-F1 on GoEmotions dev at rising word error rates.

    python -m benchmarks.words ../shared/data

An error replaces a word by one that sounds alike (by its consonants) or, where the data hold
none, by a misspelling; leaves it out; or puts another in, as 6 : 2 : 2. This is not the noise of
training, which edits letters alone. The other rows keep every word and change how it is written.
"""

import re
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from engines.engine import BUNDLES, Engine, open_engine
from train.augment_text import misspelt
from train.data import goemotions
from train.evaluate import decide
from train.metrics import Classes, scores

Way = Callable[[str], str]

RATES = (0.0, 0.05, 0.1, 0.2, 0.3)
SEEDS = (0, 1, 2)

_WORD = re.compile(r"\w+(?:['’]\w+)*")
_SOUNDS = str.maketrans("bfpvcgjkqsxzdtlmnr", "111122222222334556")


def main(data: Path, bundle: Path = BUNDLES / "text") -> None:
    """Print the figures of an engine."""
    engine, samples = open_engine(bundle), goemotions.read(data, "valid")
    texts = [str(text) for text in samples.inputs]
    truth = samples.targets.argmax(axis=1)
    alike = _by_sound(texts)
    table = Table("text", "macro F1", "accuracy", title=f"{bundle.name} {engine.hash}")
    for rate in RATES:
        ways = [_mishearing(alike, rate, seed) for seed in (SEEDS if rate else SEEDS[:1])]
        table.add_row(f"{rate:.0%} of the words wrong", *_figures(engine, texts, truth, ways))
    for name, way in _WRITTEN.items():
        table.add_row(name, *_figures(engine, texts, truth, [way]))
    Console().print(table)


def mishear(
    said: Sequence[str], rate: float, alike: dict[str, list[str]], rng: np.random.Generator
) -> list[str]:
    """Return words with about ``rate`` errors a word."""
    heard: list[str] = []
    for word in said:
        error = rng.random() / rate if rate else 1.0
        if error < 0.6:
            heard.append(_similar(word, alike, rng))
        elif error >= 0.8:
            heard.append(word)
        if 0.8 <= error < 1.0:
            sound = list(alike)[rng.integers(len(alike))]
            heard.append(alike[sound][rng.integers(len(alike[sound]))])
    return heard


def sound_of(word: str) -> str:
    """Return what a word sounds like: its first letter and the classes of its consonants."""
    low = word.lower()
    coded = re.sub(r"(.)\1+", r"\1", low[1:].translate(_SOUNDS))
    return low[:1] + re.sub(r"[^1-6]", "", coded)


def _mishearing(alike: dict[str, list[str]], rate: float, seed: int) -> Way:
    rng = np.random.default_rng(seed)
    return lambda text: " ".join(mishear(text.split(), rate, alike, rng)) if rate else text


def _similar(word: str, alike: dict[str, list[str]], rng: np.random.Generator) -> str:
    found = _WORD.search(word)
    bare = found[0].lower() if found else word
    others = [other for other in alike.get(sound_of(bare), ()) if other != bare]
    return others[rng.integers(len(others))] if others else misspelt(bare, rng)


def _by_sound(texts: Sequence[str]) -> dict[str, list[str]]:
    alike: dict[str, set[str]] = defaultdict(set)
    for text in texts:
        for word in _WORD.findall(text.lower()):
            alike[sound_of(word)].add(word)
    return {sound: sorted(words) for sound, words in sorted(alike.items())}


def _figures(
    engine: Engine, texts: Sequence[str], truth: Classes, ways: Sequence[Way]
) -> list[str]:
    found = [scores(truth, np.array([decide(engine, way(t)) for t in texts])) for way in ways]
    return [f"{np.mean([f[name] for f in found]):.3f}" for name in ("macro_f1", "accuracy")]


_WRITTEN: dict[str, Way] = {
    "in small letters": str.lower,
    "IN CAPITALS": str.upper,
    "without punctuation": lambda text: re.sub(r"[^\w\s'’]", " ", text),
    "in small letters without punctuation": lambda text: re.sub(r"[^\w\s'’]", " ", text.lower()),
}


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
