"""Words for emotions, in their many shades: our own, from `lexicon.csv` beside this file."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from statistics import fmean
from typing import Final

from engines.clues import Clue
from engines.labels import EMOTIONS, Emotion, emotion_named
from engines.opinion import Opinion
from engines.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Shade:
    """One word for an emotion."""

    word: str
    emotion: Emotion
    valence: float
    """In [-1, 1]: unpleasant to pleasant."""
    intensity: float
    """In [0, 1]: faint to as strong as can be."""


@dataclass(frozen=True, slots=True)
class Label:
    """An emotion word, and how sure it is."""

    word: str
    confidence: float
    """In [0, 1]."""


PLAIN: Final[Mapping[Emotion, tuple[str, ...]]] = {
    "anger": ("annoyed", "irritated", "angry", "furious"),
    "disgust": ("disliking", "contemptuous", "disgusted"),
    "fear": ("uneasy", "nervous", "anxious", "afraid", "terrified"),
    "happiness": ("content", "pleased", "happy", "joyful", "excited"),
    "neutral": ("neutral", "calm", "serious"),
    "sadness": ("melancholy", "unhappy", "sad", "sorrowful"),
    "surprise": ("curious", "puzzled", "surprised", "shocked"),
}
"""What a face, a voice and a sentence alone can show: nobody looks nostalgic without a story."""
_MOST: Final = 3
_FAINT: Final = 0.1
_LEAST: Final = 0.15
"""An emotion that is less probable gives no label."""


def labels(verdict: Verdict, fused: Opinion, clues: Sequence[Clue]) -> tuple[Label, ...]:
    """Return at most three words for what was judged, the surest first.

    Each emotion that is at least so probable, and that the verdict or a clue speaks for, gives the
    word whose intensity is nearest to that of the window; the first one also that which is next.
    Pleasant words come nearer by as much as other emotions that are believed are pleasant, and
    unpleasant ones alike. A word's confidence is its emotion's probability, times how near its
    intensity is. Ours.
    """
    if verdict.emotion is None:
        return ()
    strength = intensity(verdict.emotion, fused, clues)
    found: list[Label] = []
    known = {shade.word: shade for shade in shades()}
    ranked = sorted(zip(fused.projected.tolist(), EMOTIONS, strict=True), reverse=True)
    for probability, emotion in ranked:
        if probability < _LEAST:
            break
        judged = emotion == verdict.emotion
        if not judged and not any(clue.speaks_for(emotion) for clue in clues):
            continue
        sure = verdict.confidence if judged else probability
        for word in _nearest(emotion, strength, fused)[: 2 if not found else 1]:
            close = 1 - abs(known[word].intensity - strength)
            found.append(Label(word, round(sure * close, 3)))
    return tuple(sorted(found, key=lambda label: -label.confidence)[:_MOST])


def intensity(emotion: Emotion, fused: Opinion, clues: Sequence[Clue]) -> float:
    """Return how strong an emotion is shown, in [0, 1].

    The mean of how much is believed of it and, where it is known how the person usually sounds,
    of how far voice stands out towards it, one where by three deviations. What is neutral is faint.
    Ours.
    """
    if emotion == "neutral":
        return _FAINT
    believed = float(fused.belief[EMOTIONS.index(emotion)])
    stands_out = [
        min(1.0, abs(clue.z) / 3) if clue.speaks_for(emotion) else 0.0
        for clue in clues
        if clue.z is not None and clue.speaks_for(emotion) is not None
    ]
    return fmean([believed, fmean(stands_out)]) if stands_out else believed


def _nearest(emotion: Emotion, strength: float, fused: Opinion) -> list[str]:
    """Return the plain words of an emotion, the nearest first."""
    known = {shade.word: shade for shade in shades()}
    believed = zip(EMOTIONS, fused.belief.tolist(), strict=True)
    rest: float = sum(
        share * fmean(known[word].valence for word in PLAIN[other])
        for other, share in believed
        if other != emotion
    )
    usual = fmean(known[word].valence for word in PLAIN[emotion])

    def far(word: str) -> float:
        return abs(known[word].intensity - strength) - rest * (known[word].valence - usual)

    return sorted(PLAIN[emotion], key=far)


@cache
def shades() -> tuple[Shade, ...]:
    """Return every word of the lexicon, in its order."""
    return tuple(dict.fromkeys(forms().values()))


@cache
def forms() -> Mapping[str, Shade]:
    """Return the word that each form belongs to."""
    found: dict[str, Shade] = {}
    text = (resources.files("engines") / "lexicon.csv").read_text(encoding="utf-8")
    for row in csv.DictReader(text.splitlines()):
        emotion = emotion_named(row["emotion"])
        shade = Shade(row["word"], emotion, float(row["valence"]), float(row["intensity"]))
        for form in (row["word"], *row["forms"].split()):
            found.setdefault(form, shade)
    return found
