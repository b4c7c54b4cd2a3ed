"""How near emotion words come to the words of people: the metrics of EMER (arXiv 2306.15401).

Every figure is a mean over clips, each of which has a set of true and a set of predicted words.
"""

import ast
import csv
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from train.wheels import Wheel, WordsError, plain, read_wheels

Labels = Mapping[str, Sequence[str]]
"""Words by clip."""
Groups = Mapping[str, Sequence[Sequence[str]]]
"""Groups of words that mean the same in a clip, by clip."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far predicted words agree with true ones; all in [0, 1]."""

    accuracy: float
    """Share of what was predicted that is true: in other fields, precision."""
    recall: float
    """Share of what is true that was predicted."""

    @property
    def average(self) -> float:
        """Mean of both."""
        return (self.accuracy + self.recall) / 2

    @property
    def f(self) -> float:
        """Harmonic mean of both; 0 where both are."""
        both = self.accuracy + self.recall
        return 2 * self.accuracy * self.recall / both if both else 0.0


@dataclass(frozen=True, slots=True)
class WheelScore:
    """Agreement on wheels, and the words that stand on none of them."""

    agreement: Agreement
    """Means over the wheels; take `f` of it."""
    unknown: Mapping[str, int]
    """Words that are on no wheel, also by their forms and synonyms, and how often they stand in
    the truth or the prediction. They are left out of the sets."""


def grouped(truth: Labels, predicted: Labels, groups: Groups | None = None) -> Agreement:
    """Return the mean agreement of sets of groups: |T ∩ P| / |P| and |T ∩ P| / |T|.

    Words without a group are groups of their own. A clip without prediction counts 0; clips
    without true words are left out. Raises WordsError where clips of the truth have no groups.
    """
    pairs = []
    for clip, words in truth.items():
        if groups is not None and clip not in groups:
            raise WordsError("groups", f"clip {clip} has none; give those of all clips")
        group = {
            word: str(n) for n, each in enumerate((groups or {}).get(clip, ())) for word in each
        }
        pairs.append(tuple(_of(group, each) for each in (words, predicted.get(clip, ()))))
    return _agreement(pairs)


def on_wheels(truth: Labels, predicted: Labels, wheels: Sequence[Wheel]) -> WheelScore:
    """Return the mean agreement of sets of sectors, over the wheels."""
    scores = []
    for wheel in wheels:
        pairs = [
            (wheel.sectors(words), wheel.sectors(predicted.get(clip, ())))
            for clip, words in truth.items()
        ]
        scores.append(_agreement(pairs))
    counted = Counter(
        word for labels in (truth, predicted) for each in labels.values() for word in each
    )
    unknown = {
        word: count
        for word, count in counted.most_common()
        if all(wheel.sector(word) is None for wheel in wheels)
    }
    mean = Agreement(fmean(s.accuracy for s in scores), fmean(s.recall for s in scores))
    return WheelScore(mean, unknown)


def _of(group: Mapping[str, str], words: Iterable[str]) -> frozenset[str]:
    found: set[str] = set()
    for word in words:
        # The published groups were cut at apostrophes: "don't believe" is in them as two.
        parts = [word] if word in group else [p for p in word.split("'") if p in group]
        found.update(group[part] for part in parts) if parts else found.add(f"alone: {word}")
    return frozenset(found)


def _agreement(pairs: Iterable[tuple[frozenset[str], ...]]) -> Agreement:
    known = [(true, said) for true, said in pairs if true]
    if not known:
        raise WordsError("the truth", "no clip has a word that can be scored")
    return Agreement(
        fmean(len(true & said) / len(said) if said else 0.0 for true, said in known),
        fmean(len(true & said) / len(true) for true, said in known),
    )


def read_labels(path: Path) -> dict[str, list[str]]:
    """Read a CSV with the columns name and openset, a list such as `['sad', "don't know"]`.

    Words come in small letters, without space around them, each once. Raises WordsError.
    """
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise WordsError(path, _reason(error)) from error
    if not rows or not {"name", "openset"} <= rows[0].keys():
        raise WordsError(path, "it needs the columns name and openset, and a line for each clip")
    labels: dict[str, list[str]] = {}
    for number, row in enumerate(rows, 2):
        if row["name"] in labels:
            raise WordsError(path, f"line {number}: clip {row['name']} was there before")
        labels[row["name"]] = _words(path, number, row["openset"] or "")
    return labels


def _words(path: Path, line: int, text: str) -> list[str]:
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        found = None
    if not isinstance(found, list) or not all(isinstance(word, str) for word in found):
        raise WordsError(path, f"line {line}: openset is no list of words, as in ['sad', 'calm']")
    return list(dict.fromkeys(plain(word) for word in found if word.strip()))


def read_groups(path: Path) -> dict[str, list[list[str]]]:
    """Read a JSON object of lists of groups of words by clip; raise WordsError."""
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WordsError(path, _reason(error)) from error
    try:
        return {
            str(clip): [[plain(word) for word in group] for group in groups]
            for clip, groups in found.items()
        }
    except (AttributeError, TypeError) as error:
        problem = 'it needs an object of lists of groups by clip, as in {"a": [["sad", "low"]]}'
        raise WordsError(path, problem) from error


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Predicted words beside true ones, by every metric that could be had."""

    clips: int
    missing: Sequence[str]
    """Clips of the truth without a prediction, which count 0."""
    sets: Agreement
    wheel: WheelScore | None

    def summary(self) -> dict[str, Any]:
        """Return everything for JSON."""
        said: dict[str, Any] = {
            "clips": self.clips,
            "missing": list(self.missing),
            "accuracy": self.sets.accuracy,
            "recall": self.sets.recall,
            "average": self.sets.average,
        }
        if self.wheel:
            on = self.wheel.agreement
            said["wheels"] = {"accuracy": on.accuracy, "recall": on.recall, "f": on.f}
            said["unknown"] = dict(self.wheel.unknown)
        return said

    def lines(self) -> Iterator[str]:
        """Yield what people read."""
        yield f"{'clips':20} {self.clips}"
        if self.missing:
            yield f"{'without prediction':20} {len(self.missing)}, each counts 0"
        for name in ("accuracy", "recall", "average"):
            yield f"{name:20} {getattr(self.sets, name):.7f}"
        if self.wheel:
            for name in ("accuracy", "recall", "f"):
                yield f"{'wheels, ' + name:20} {getattr(self.wheel.agreement, name):.7f}"
            often = ", ".join(f"{word} {n}" for word, n in list(self.wheel.unknown.items())[:10])
            count, uses = len(self.wheel.unknown), sum(self.wheel.unknown.values())
            yield f"{'on no wheel':20} {count} words, {uses} times" + (
                f": {often}" if often else ""
            )


def compare(truth: Path, predicted: Path, groups: Path | None, wheels: Path | None) -> Comparison:
    """Read words and compare them; raise WordsError."""
    true, said = read_labels(truth), read_labels(predicted)
    if unknown := sorted(said.keys() - true.keys()):
        raise WordsError(predicted, f"the truth has no clip {unknown[0]}")
    sets = grouped(true, said, read_groups(groups) if groups else None)
    return Comparison(
        len(true),
        sorted(true.keys() - said.keys()),
        sets,
        on_wheels(true, said, read_wheels(wheels)) if wheels else None,
    )
