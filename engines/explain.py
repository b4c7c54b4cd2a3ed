"""Clues → an explanation: a few sentences that say nothing but what was measured, and labels.

In the order of EMER (arXiv 2306.15401): what is seen and heard first, then whether the words
confirm it. No language model is asked, and the same clues always give the same text.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final, Literal

from engines.clues import LEANINGS, NOTABLE_Z, Clue
from engines.examine import BANDS
from engines.labels import Emotion
from engines.lexicon import Label, labels
from engines.opinion import Opinion
from engines.verdict import MODALITIES, Verdict

TELLING: Final = 0.05
"""A part without which so much less is believed is worth a word."""
SURE: Final = 0.4
"""A voice, or words, less probably of any one emotion tell little."""
_LONG: Final = 160
"""More letters than these about a face and a voice make two sentences."""
_OFTEN: Final = 20.0
"""A second expression in so many percent of the pictures is worth a word."""
_CHANGED: Final = 0.15
_DISAGREE: Final = 0.3
_OPEN: Final = 0.5
LEADING: Final = {"face": "face.expression", "voice": "voice.sound", "text": "text.words"}
"""The clue that says which emotion a modality is about."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a window was judged as it was."""

    text: str
    cited: tuple[str, ...]
    """The ids of the clues that the text rests on, in its order."""
    labels: tuple[Label, ...]
    by: Literal["template"] = "template"


def explain(
    verdict: Verdict, fused: Opinion, clues: Sequence[Clue], language: str = "en"
) -> Explanation:
    """Say why, in one of the languages of `engines/messages`, by clues with distinct ids."""
    writer = _Writer({clue.id: clue for clue in clues}, messages(language))
    said = " ".join(_sentence(part) for part in writer.parts(verdict))
    return Explanation(said, tuple(dict.fromkeys(writer.cited)), labels(verdict, fused, clues))


@cache
def messages(language: str) -> Mapping[str, str]:
    """Return the phrases of a language."""
    path = resources.files("engines") / "messages" / f"{language}.json"
    phrases: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return phrases


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


class _Writer:
    """Writes phrases, and keeps which clues they cite."""

    def __init__(self, clues: Mapping[str, Clue], phrases: Mapping[str, str]) -> None:
        self._clues, self._phrases = clues, phrases
        self.cited: list[str] = []

    def parts(self, verdict: Verdict) -> Iterator[str]:
        """Yield the sentences, without their capital letter and their full stop."""
        if verdict.emotion is None:
            yield self._phrases["no_evidence"]
            return
        yield from self._seen_and_heard()
        if words := self._words():
            yield words
        yield self._trust(verdict.emotion, verdict.reason.value)

    def _seen_and_heard(self) -> Iterator[str]:
        leading = self._leading("face", "voice", least=SURE)
        both, same = len(leading) == 2, len(set(leading.values())) == 1
        face, voice = self._face(), self._voice(too=both and same)
        if both and len(face) + len(voice) <= _LONG:
            yield self._phrases["join same" if same else "join other"].format(face, voice)
            return
        if face:
            yield face
        if voice:
            yield self._phrases["join other long"].format(voice) if both and not same else voice

    def _leading(self, *kinds: str, least: float = 0.0) -> dict[str, Emotion | None]:
        """Return what each of these modalities is about, voice and words if ``least`` as sure."""
        found = {kind: clue for kind in kinds if (clue := self._clues.get(LEADING[kind]))}
        return {
            kind: clue.emotion
            for kind, clue in found.items()
            if kind == "face" or clue.value >= least
        }

    def _face(self) -> str:
        expression = self._clues.get("face.expression")
        if expression is None:
            return ""
        leads = round(expression.value) > 0  # else it is each picture's second
        looks = self._about(expression.id, "face looks" if leads else "face looks over all")
        return self._listed([looks, *self._face_details()])

    def _face_details(self) -> Iterator[str]:
        bands = [clue for name in BANDS if (clue := self._clues.get(f"face.{name}"))]
        most = max(bands, key=lambda clue: clue.value, default=None)
        if most and most.value >= TELLING:
            yield self._about(most.id, most.id)
        course, moment = self._clues.get("face.course"), self._clues.get("face.moment")
        if course and abs(course.value) >= _CHANGED:
            yield self._about(
                course.id, "face.course.up" if course.value > 0 else "face.course.down"
            )
        elif moment and moment.value >= TELLING:
            yield self._about(moment.id, moment.id, when=self._when(moment))
        second = self._clues.get("face.second")
        if second and second.value >= _OFTEN:
            yield self._about(second.id, second.id)

    def _when(self, moment: Clue) -> str:
        """Say in words when it was: nobody reads seconds since a camera began."""
        whole = self._clues[LEADING[moment.source]]
        since_s = (moment.start_s + moment.end_s) / 2 - whole.start_s
        third = 3 * since_s / max(whole.end_s - whole.start_s, 1e-9)
        return self._phrases[
            "when.start" if third < 1 else "when.middle" if third < 2 else "when.end"
        ]

    def _voice(self, *, too: bool) -> str:
        sound = self._clues.get("voice.sound")
        if sound is None:
            return ""
        sounds = "voice too" if too else "voice sounds"
        parts = [self._about(sound.id, sounds if sound.value >= SURE else "voice unsure")]
        moment = self._clues.get("voice.moment")
        if moment and moment.value >= TELLING:
            parts.append(self._about(moment.id, moment.id, when=self._when(moment)))
        if unusual := list(self._unusual()):
            parts.append(self._phrases["voice.usual"].format(list=self._both(unusual)))
        return self._listed(parts)

    def _unusual(self) -> Iterator[str]:
        """Yield how the voice differs most from the usual, two things at most."""
        notable = [
            clue
            for name in LEANINGS
            if (clue := self._clues.get(name)) and clue.z is not None and abs(clue.z) >= NOTABLE_Z
        ]
        for clue in sorted(notable, key=lambda clue: -abs(clue.z or 0.0))[:2]:
            yield self._about(clue.id, f"{clue.id}.{'up' if (clue.z or 0.0) > 0 else 'down'}")

    def _stance(self, words: Clue) -> str:
        """Return the phrase for how words stand to what is seen and heard."""
        others = self._leading("face", "voice", least=SURE)
        if words.value < SURE:
            return "words unsure"
        if not others:
            return "words alone"
        if words.emotion == "neutral" and "neutral" not in others.values():
            return "words neutral"
        if len(set(others.values())) == 1:
            same = words.emotion in others.values()
            return "words confirm" if same else "words contradict"
        sides = [kind for kind, emotion in others.items() if emotion == words.emotion]
        return f"words side {sides[0]}" if sides else "words differ"

    def _words(self) -> str:
        words = self._clues.get("text.words")
        if not words:
            return ""
        said = [self._about(words.id, self._stance(words))]
        asked = [clue for clue in self._clues.values() if clue.id.startswith("text.word.")]
        most = max(asked, key=lambda clue: clue.value, default=None)
        if words.value >= SURE and most and most.value >= TELLING and most.word:
            said.append(self._about(most.id, "word"))
        return self._listed(said)

    def _trust(self, emotion: Emotion, reason: str) -> str:
        parts = []
        conflict = self._clues.get("trust.conflict")
        shares = {
            kind: clue for kind in MODALITIES if (clue := self._clues.get(f"trust.without_{kind}"))
        }
        if conflict and conflict.value >= _DISAGREE:
            first, second = conflict.word.split()
            if len(set(self._leading(first, second).values())) > 1:
                names = (self._phrases[first], self._phrases[second])
                parts.append(self._about(conflict.id, "disagree", *names))
        if len(shares) > 1:
            kind = max(shares, key=lambda kind: shares[kind].value)
            if shares[kind].value >= TELLING:
                parts.append(self._phrases["decided"].format(what=self._phrases[kind]))
                self.cited.append(shares[kind].id)
        left = self._clues.get("trust.open")
        if left and left.value >= _OPEN:
            parts.append(self._about(left.id, "open"))
        parts.append(self._verdict(reason))
        return "; ".join(parts)

    def _verdict(self, reason: str) -> str:
        sure, threshold = self._clues.get("trust.confidence"), self._clues.get("trust.threshold")
        if sure is None or threshold is None:
            return self._about("trust.confidence", reason, threshold="")
        self.cited.append(threshold.id)
        digits = 3 if _number(sure) == _number(threshold) else 2  # 0.76 is not below 0.76
        return self._about(
            sure.id, reason, value=_number(sure, digits), threshold=_number(threshold, digits)
        )

    def _about(self, name: str, phrase: str, *given: str, **more: str) -> str:
        """Return a phrase about a clue, which it then cites; empty where there is none."""
        clue = self._clues.get(name)
        if clue is None:
            return ""
        self.cited.append(name)
        own = {
            "value": _number(clue),
            "z": f"{clue.z:+.1f}" if clue.z is not None else "",
            "emotion": self._phrases[clue.emotion] if clue.emotion else "",
            "word": clue.word,
        }
        return self._phrases[phrase].format(*given, **(own | more))

    def _both(self, parts: Sequence[str]) -> str:
        return self._phrases["and"].format(*parts) if len(parts) == 2 else parts[0]

    def _listed(self, parts: Sequence[str]) -> str:
        return self._phrases["comma"].join(parts)


def _number(clue: Clue, digits: int = 2) -> str:
    return f"{clue.value:.0f} %" if clue.unit == "%" else f"{clue.value:.{digits}f}"
