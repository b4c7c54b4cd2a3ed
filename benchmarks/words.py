"""What wrong words cost the text engine: macro-F1 on GoEmotions dev at rising word error rates.

    python -m benchmarks.words ../shared/data

An error replaces a word by one that sounds alike (by its consonants) or, where the data hold
none, by a misspelling; leaves it out; or puts another in, as 6 : 2 : 2. The other rows keep every
word and change how it is written.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from engines.engine import BUNDLES, Engine, open_engine
from train.data import goemotions
from train.evaluate import decide
from train.metrics import Classes, scores
from train.mishear import Alike, by_sound, mishear
from train.robustness import unpunctuated

Way = Callable[[str], str]

RATES = (0.0, 0.05, 0.1, 0.2, 0.3)
SEEDS = (0, 1, 2)


def main(data: Path, bundle: Path = BUNDLES / "text") -> None:
    """Print the figures of an engine."""
    engine, samples = open_engine(bundle), goemotions.read(data, "valid")
    texts = [str(text) for text in samples.inputs]
    truth = samples.targets.argmax(axis=1)
    alike = by_sound(texts)
    table = Table("text", "macro F1", "accuracy", title=f"{bundle.name} {engine.hash}")
    for rate in RATES:
        ways = [_mishearing(alike, rate, seed) for seed in (SEEDS if rate else SEEDS[:1])]
        table.add_row(f"{rate:.0%} of the words wrong", *_figures(engine, texts, truth, ways))
    for name, way in _WRITTEN.items():
        table.add_row(name, *_figures(engine, texts, truth, [way]))
    Console().print(table)


def _mishearing(alike: Alike, rate: float, seed: int) -> Way:
    rng = np.random.default_rng(seed)
    return lambda text: " ".join(mishear(text.split(), rate, alike, rng)) if rate else text


def _figures(
    engine: Engine, texts: Sequence[str], truth: Classes, ways: Sequence[Way]
) -> list[str]:
    found = [scores(truth, np.array([decide(engine, way(t)) for t in texts])) for way in ways]
    return [f"{np.mean([f[name] for f in found]):.3f}" for name in ("macro_f1", "accuracy")]


def _unmarked(text: str) -> str:
    return unpunctuated(text, 1.0, np.random.default_rng(0))


_WRITTEN: dict[str, Way] = {
    "in small letters": str.lower,
    "IN CAPITALS": str.upper,
    "without punctuation": _unmarked,
    "in small letters without punctuation": lambda text: _unmarked(text.lower()),
}


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
