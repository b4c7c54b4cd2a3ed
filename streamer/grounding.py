"""What a language model is asked about an event, and whether its answer says what was measured.

Pure. Nothing of an answer is believed: it may be wrong, or obey what somebody said to a camera.
"""

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self, cast

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engines import clues as measured
from engines.labels import EMOTIONS, Emotion
from engines.lexicon import PLAIN, forms, intensity, shades
from engines.opinion import Opinion
from streamer.event import Clue, EmotionEvent, Label
from streamer.explanation import ExplanationData, ExplanationEvent

Fault = Literal["malformed", "uncited", "unknown_clue", "unsupported", "inconsistent"]
"""`malformed`: not the JSON that was asked for. `uncited`: it cites nothing. `unknown_clue`: it
cites what it was not given. `unsupported`: it names an emotion that no clue speaks for, or trust.
`inconsistent`: a number in it is not that of a cited clue."""

MOST_LETTERS: Final = 600
"""Of a text; the model is asked for fewer."""
_MOST_SAID: Final = 500
"""Letters of a transcript that are passed on."""
_COARSEST: Final = 0.05
"""Rounding may change a number by this share of it: 0.87 is 0.9, and is not 1. **ours**"""
_NUMBER: Final = re.compile(r"(?:(?<!\w)[+\-−])?\d+(?:[.,]\d+)?\s*%?")
_SPELLED_OUT: Final = (
    "four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand"
    " million half halves third thirds quarter quarters twice thrice dozen"
)
_SPELLED: Final = frozenset(_SPELLED_OUT.split())
"""Not one to three: they count modalities and sentences."""
_OF_TRUST: Final = re.compile(r"\b(un|mis|dis)?trust|\bcertif|\breliab", re.IGNORECASE)
"""What only the policy says."""
_NAMING: Final = frozenset(word for words in PLAIN.values() for word in words)
"""Words of the lexicon that name an emotion wherever they stand."""


class RejectedError(Exception):
    """An answer is not published."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self.fault = fault


class Answer(BaseModel):
    """What a language model is to answer."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    text: Annotated[str, Field(min_length=1, max_length=MOST_LETTERS)]
    cited: Annotated[tuple[str, ...], Field(max_length=100)]
    labels: Annotated[tuple[str, ...], Field(min_length=1, max_length=3)]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about one event."""

    event: EmotionEvent
    emotion: Emotion
    clues: Mapping[str, Clue]
    """By their ids."""
    supported: frozenset[Emotion]
    """What at least one clue speaks for."""

    @classmethod
    def about(cls, event: EmotionEvent) -> Self | None:
        """Return what to ask; None of what is not final, or has nothing to explain."""
        data = event.data
        if data.phase != "final" or data.explanation is None or data.emotion is None:
            return None
        found = {clue.id: clue for clue in data.explanation.clues}
        supported = frozenset(
            emotion for emotion in EMOTIONS if any(_supports(c, emotion) for c in found.values())
        )
        return cls(event, data.emotion, found, supported) if supported else None

    @property
    def words(self) -> tuple[str, ...]:
        """The labels to choose from."""
        return tuple(shade.word for shade in shades() if shade.emotion in self.supported)

    @property
    def content(self) -> str:
        """What is sent: JSON of the clues, and of what was said where that is published."""
        sent: dict[str, Any] = {
            "emotion": self.emotion,
            "clues": [_sent(clue) for clue in self.clues.values()],
            "labels": self.words,
        }
        if transcript := self.event.data.transcript:
            sent["said"] = _quoted(transcript.english or transcript.text)[:_MOST_SAID]
        return json.dumps(sent, ensure_ascii=False)

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of an answer, in the subset that constrained decoding knows."""

        def some_of(choices: Sequence[str]) -> dict[str, Any]:
            return {"type": "array", "items": {"type": "string", "enum": list(choices)}}

        properties = {
            "text": {"type": "string"},
            "cited": some_of(list(self.clues)),
            "labels": some_of(self.words),
        }
        return {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }

    def checked(self, answer: str, model: str, now: datetime) -> ExplanationEvent:
        """Return the event of an answer; raise RejectedError where it must not be published."""
        given = _read(answer)
        text = " ".join(given.text.split())
        if not text or not text.isprintable() or re.search(r"://|www\.|[<>`]", text):
            raise RejectedError("malformed")
        cited = self._cited(given.cited)
        labels = tuple(self._label(word) for word in dict.fromkeys(given.labels))
        self._check_emotions(text)
        _check_numbers(text, cited)
        return self._event(text, cited, labels, model, now)

    def _cited(self, ids: Sequence[str]) -> list[Clue]:
        if not ids:
            raise RejectedError("uncited")
        if not set(ids) <= self.clues.keys():
            raise RejectedError("unknown_clue")
        return [self.clues[each] for each in dict.fromkeys(ids)]

    def _label(self, word: str) -> Label:
        shade = forms().get(word.strip().lower())
        if shade is None or shade.emotion not in self.supported:
            raise RejectedError("unsupported")
        data = self.event.data
        fused = Opinion(np.array([data.belief[e] for e in EMOTIONS]), np.array(data.uncertainty))
        strength = intensity(self.emotion, fused, [_measured(c) for c in self.clues.values()])
        probable = float(fused.projected[EMOTIONS.index(shade.emotion)])
        sure = data.confidence if shade.emotion == self.emotion else min(1.0, probable)
        # As `engines.lexicon.labels` has it.
        confidence = round(sure * (1 - abs(shade.intensity - strength)), 3)
        return Label(word=shade.word, confidence=confidence)

    def _check_emotions(self, text: str) -> None:
        quoted = {(clue.word or "").lower() for clue in self.clues.values()}
        for word in set(re.findall(r"[^\W\d_]+", text.lower())) - quoted:
            shade = forms().get(word)
            if shade and shade.word in _NAMING and shade.emotion not in self.supported:
                raise RejectedError("unsupported")
        if _OF_TRUST.search(text):
            raise RejectedError("unsupported")

    def _event(
        self,
        text: str,
        cited: Sequence[Clue],
        labels: Sequence[Label],
        model: str,
        now: datetime,
    ) -> ExplanationEvent:
        event, data = self.event, self.event.data
        return ExplanationEvent(
            id=f"{data.window_id}.explanation",
            source=event.source,
            subject=event.subject,
            time=event.time,
            recordedtime=now,
            data=ExplanationData(
                window_id=data.window_id,
                camera=data.camera,
                explains=event.id,
                text=text,
                cited=tuple(clue.id for clue in cited),
                labels=tuple(sorted(set(labels), key=lambda each: (-each.confidence, each.word))),
                model=model,
            ),
        )


_WRAPPED: Final = re.compile(
    r"\s*(?:<think>.*?</think>)?\s*```(?:json)?\s*(\{.*\})\s*```\s*"
    r"|\s*<think>.*?</think>\s*(\{.*\})\s*",
    re.DOTALL,
)
"""What small models put around their JSON: thoughts, and a fence."""


def _read(answer: str) -> Answer:
    wrapped = _WRAPPED.fullmatch(answer)
    try:
        return Answer.model_validate_json((wrapped[1] or wrapped[2]) if wrapped else answer)
    except ValidationError:
        raise RejectedError("malformed") from None


def _supports(clue: Clue, emotion: Emotion) -> bool:
    """Return whether a clue speaks for an emotion itself, not only against its opposite."""
    if clue.emotion not in (emotion, None):
        return False
    return _measured(clue).speaks_for(emotion) is True


def _measured(clue: Clue) -> measured.Clue:
    return measured.Clue(
        clue.id,
        cast(measured.Source, clue.id.partition(".")[0]),
        clue.value,
        clue.unit,
        clue.start_s,
        clue.end_s,
        clue.z,
        clue.emotion,
        clue.word or "",
    )


def _sent(clue: Clue) -> dict[str, Any]:
    """Return a clue as it is sent, in as many digits as people read."""
    shown = {
        "id": clue.id,
        "value": _rounded(clue.value, 2),
        "unit": clue.unit,
        "start_s": _rounded(clue.start_s, 1),
        "end_s": _rounded(clue.end_s, 1),
        "z": None if clue.z is None else _rounded(clue.z, 1),
        "emotion": clue.emotion,
        "word": clue.word and _quoted(clue.word),
    }
    return {key: value for key, value in shown.items() if value is not None}


def _quoted(said: str) -> str:
    """Return words without what is never spoken: a model may take `<|…|>` or `[INST]` for its own
    marks, wherever they stand."""
    return re.sub(r"[^\w\s.,;:!?'’\"()%&$€+-]", " ", said)


def _rounded(value: float, digits: int) -> float:
    return round(value, digits) + 0.0  # never -0.0


def _check_numbers(text: str, cited: Sequence[Clue]) -> None:
    plain = re.sub(r"\s*per\s?cent\b", "%", unicodedata.normalize("NFKC", text))
    if _SPELLED & set(re.findall(r"[a-z]+", plain.lower())):
        raise RejectedError("inconsistent")
    for found in _NUMBER.findall(plain):
        if not any(_is(found, value) for value in _values(cited, found.endswith("%"))):
            raise RejectedError("inconsistent")


def _values(cited: Sequence[Clue], percent: bool) -> Iterator[float]:
    """Yield every number that may be said with, or without, a percent sign."""
    for clue in map(_sent, cited):
        if clue["unit"] == "probability" and percent:
            yield 100 * clue["value"]
        if (clue["unit"] == "%") == percent:
            yield clue["value"]
        if not percent:
            yield from (clue[key] for key in ("start_s", "end_s", "z") if key in clue)


def _is(said: str, value: float) -> bool:
    """Return whether a number as it was written is a value, rounded by a little."""
    plain = said.rstrip("% ").replace(",", ".").replace("−", "-")
    number, digits = float(plain), len(plain.partition(".")[2])
    if plain[0] not in "+-":  # "0.4 lower" is -0.4
        value = abs(value)
    tolerance = min(0.5 * 10.0**-digits, _COARSEST * abs(value))
    return abs(number - value) <= tolerance + 1e-9
