"""Do explanations say what was measured, and nothing else? Figures of honesty for English texts.

Read from the text alone, not from what wrote it. What counts as a claim is ours.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from engines.clues import LEANINGS, NOTABLE_Z, Clue
from engines.explain import LEADING, SURE, Explanation, messages
from engines.labels import EMOTIONS
from engines.lexicon import shades

_NUMBER: Final = re.compile(r"[-+]?\d+(?:\.\d+)?")


def wrong_numbers(why: Explanation, clues: Sequence[Clue]) -> list[str]:
    """Return the numbers in a text that no cited clue has as its value or deviation, rounded."""
    cited = [clue for clue in clues if clue.id in why.cited]
    known = [value for clue in cited for value in (clue.value, clue.z) if value is not None]
    return [
        said
        for said in _NUMBER.findall(_unquoted(why.text))
        if all(
            abs(float(said) - v) > 0.5 * 10 ** -len(said.partition(".")[2]) + 1e-9 for v in known
        )
    ]


def unsupported(why: Explanation, clues: Sequence[Clue]) -> list[str]:
    """Return what a text and its labels claim that no cited clue, or for labels no clue, says.

    Claims are clues that are cited, emotions that are named, deviations of a voice, how words
    stand to face and voice, and disagreement. The first label belongs to the verdict.
    """
    return [*_unmeasured(why, clues), *_claims(why, clues), *_labels(why, clues)]


def _unmeasured(why: Explanation, clues: Sequence[Clue]) -> Iterator[str]:
    yield from (name for name in why.cited if name not in {clue.id for clue in clues})


def _claims(why: Explanation, clues: Sequence[Clue]) -> Iterator[str]:
    cited = {clue.id: clue for clue in clues if clue.id in why.cited}
    phrases, text = messages("en"), _unquoted(why.text).lower()
    about = {clue.emotion for clue in cited.values()}
    for emotion in EMOTIONS:
        if re.search(rf"\b{phrases[emotion]}\b", text) and emotion not in about:
            yield emotion
    for name in LEANINGS:
        for sign, way in ((1, "up"), (-1, "down")):
            z = cited[name].z if name in cited else None
            said = phrases[f"{name}.{way}"].split(" (")[0]
            if re.search(rf"\b{said} \(", text) and (z is None or sign * z < NOTABLE_Z):
                yield said
    led = {
        kind: cited[name].emotion
        for kind, name in LEADING.items()
        if name in cited and (kind != "voice" or cited[name].value >= SURE)
    }
    others = {led[kind] for kind in ("face", "voice") if kind in led}
    holds = {
        "the words confirm": others == {led.get("text")},
        "the words contradict": bool(others) and led.get("text") not in others,
        "the words do not confirm": bool(others) and led.get("text") not in others,
        "the words sound like neither": len(others) > 1 and led.get("text") not in others,
        "the words side with the face": len(others) > 1 and led.get("text") == led.get("face"),
        "the words side with the voice": len(others) > 1 and led.get("text") == led.get("voice"),
        "voice, too,": {"face", "voice"} <= led.keys() and len(others) == 1,
        "but the voice": len(others) > 1,
        "the voice tells little": "voice.sound" in cited and "voice" not in led,
        " disagree (": "trust.conflict" in cited,
        " decided": any(name.startswith("trust.without_") for name in cited),
    }
    yield from (claim for claim, is_so in holds.items() if claim in text and not is_so)


def _labels(why: Explanation, clues: Sequence[Clue]) -> Iterator[str]:
    known = {shade.word: shade.emotion for shade in shades()}
    for label in why.labels:
        if label.word not in known or not any(c.speaks_for(known[label.word]) for c in clues):
            yield label.word


def _unquoted(text: str) -> str:
    return re.sub("“[^”]*”", "", text)
