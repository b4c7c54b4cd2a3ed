"""Clues: what was measured in a window that speaks for or against an emotion.

Each has a name that is unique in its window, a value with a unit, and where it was measured.
Explanations cite clues alone, so that nothing is said that was not measured. People write such
clues in EMER (arXiv 2306.15401); which are measured here, and how, is ours.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from itertools import combinations
from types import MappingProxyType
from typing import Final, Literal

from engines.fusion import conflict
from engines.labels import EMOTIONS, Emotion
from engines.manifest import Modality
from engines.opinion import Opinion
from engines.quality import Quality
from engines.verdict import Judgement, Policy

Source = Modality | Literal["trust"]

NOTABLE_Z: Final = 1.0
"""Whose voice differs by less from how they usually speak sounds as usual."""

_FORCEFUL: Final = frozenset[Emotion](("anger", "fear", "happiness", "surprise"))
_LOW: Final = frozenset[Emotion](("sadness",))
LEANINGS: Final[Mapping[str, tuple[frozenset[Emotion], frozenset[Emotion]]]] = MappingProxyType(
    {
        "voice.pitch": (_FORCEFUL, _LOW),
        "voice.level": (_FORCEFUL - {"fear"}, _LOW),
        "voice.rate": (_FORCEFUL - {"surprise"}, _LOW | {"disgust"}),
        "voice.pitch_range": (frozenset({"happiness", "surprise"}), _LOW | {"fear"}),
        "voice.pauses": (_LOW, frozenset({"anger", "happiness"})),
    }
)
"""What more, and what less, of a measure than usual speaks for: where most studies agree in
Juslin and Laukka (2003), Psychological Bulletin 129, table 7; surprise is ours."""


@dataclass(frozen=True, slots=True)
class Clue:
    """One measurement."""

    id: str
    """`<source>.<measure>`; of words, with their place behind."""
    source: Source
    value: float
    """Finite, with three decimals: what is published is what is explained."""
    unit: str
    start_s: float
    """Where it was measured, on the media clock."""
    end_s: float
    z: float | None = None
    """Deviations from how this person usually is; None while that is not known."""
    emotion: Emotion | None = None
    """What ``value`` is about, where it is about one emotion."""
    word: str = ""
    """What ``value`` is about, where it is about a word."""

    def speaks_for(self, emotion: Emotion) -> bool | None:
        """Return whether it speaks for or against an emotion; None where for neither."""
        if self.emotion is not None:
            if self.value <= 0:
                return None if self.value == 0 or self.emotion != emotion else False
            return self.emotion == emotion
        if self.z is None or abs(self.z) < NOTABLE_Z or self.id not in LEANINGS:
            return None
        more, less = LEANINGS[self.id] if self.z > 0 else LEANINGS[self.id][::-1]
        return True if emotion in more else False if emotion in less else None


def of_trust(
    judgement: Judgement,
    opinions: Mapping[Modality, Opinion],
    policy: Policy,
    qualities: Mapping[Modality, Quality],
    span_s: tuple[float, float],
    shared: Callable[[Collection[Modality]], float] = lambda _: 1.0,
) -> list[Clue]:
    """Return what the verdict rests on: how sure, what is left open, and who decided.

    `trust.open_face` and the like say what a modality leaves open by itself; `trust.without_face`
    and the like how much less probable the emotion is when one modality is left out;
    `trust.conflict` names the two that disagree most in ``word``. ``shared`` is what
    `Policy.judge` is given for these modalities.
    """
    emotion = judgement.verdict.emotion
    if emotion is None:
        return []

    def clue(name: str, value: float, about: Emotion | None = None, word: str = "") -> Clue:
        return Clue(
            f"trust.{name}", "trust", thousandths(value), "probability", *span_s, None, about, word
        )

    found = [
        clue("confidence", judgement.verdict.confidence, emotion),
        clue("open", float(judgement.fused.uncertainty)),
        *(clue(f"open_{kind}", float(own.uncertainty)) for kind, own in opinions.items()),
    ]
    if judgement.verdict.threshold:
        found.append(clue("threshold", judgement.verdict.threshold.confidence))
    if len(opinions) > 1:
        between = {
            f"{one} {other}": float(
                conflict(*(opinions[kind].discount(judgement.trust[kind]) for kind in (one, other)))
            )
            for one, other in combinations(opinions, 2)
        }
        most = max(between, key=lambda pair: between[pair])
        found.append(clue("conflict", between[most], word=most))
        best = EMOTIONS.index(emotion)
        for kind in opinions:
            others = {other: opinions[other] for other in opinions if other != kind}
            rest = policy.judge(others, qualities, shared(others)).fused
            drop = float(judgement.fused.projected[best] - rest.projected[best])
            found.append(clue(f"without_{kind}", drop, emotion))
    return found


def thousandths(value: float) -> float:
    """Return a number as clues have it."""
    return round(value, 3) + 0.0  # never -0.0
