"""The label space of every engine, and the names that corpora give its members."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, get_args

from engines.errors import CredenceError

Emotion = Literal["anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"]

EMOTIONS: Final[tuple[Emotion, ...]] = get_args(Emotion)
"""Ekman's six and neutral, in the order of every belief vector."""

SYNONYMS: Final[Mapping[str, Emotion]] = MappingProxyType(
    {
        "angry": "anger",
        "disgusted": "disgust",
        "fearful": "fear",
        "afraid": "fear",
        "happy": "happiness",
        "joy": "happiness",
        "sad": "sadness",
        "surprised": "surprise",
    }
)
"""Other words for the same class. A word that is near but not the same (calm) is not here."""


class UnknownLabelError(CredenceError):
    """A label that names no emotion of the label space."""

    def __init__(self, label: str) -> None:
        known = ", ".join((*EMOTIONS, *SYNONYMS))
        super().__init__(f"the label {label!r} is not known; use one of {known}")
        self.label = label


def emotion_named(label: str) -> Emotion:
    """Return the emotion that ``label`` names, whatever its case, or raise UnknownLabelError."""
    word = label.strip().lower()
    for emotion in EMOTIONS:
        if word == emotion:
            return emotion
    if word in SYNONYMS:
        return SYNONYMS[word]
    raise UnknownLabelError(label)
