"""Windows → clues: what a face, a voice and words show, and which part of them shows most."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice, pairwise
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

from engines.clues import Clue, thousandths
from engines.engine import Answer
from engines.fusion import averaging
from engines.labels import EMOTIONS
from engines.manifest import Modality
from engines.opinion import Opinion
from engines.preprocess import text, voice
from engines.prosody import UNITS, prosody
from engines.window import FACE_PX, SAMPLE_RATE_HZ, FaceWindow, TextWindow, VoiceWindow, Window

_SOURCES: Final[Mapping[type[Window], Modality]] = MappingProxyType(
    {FaceWindow: "face", VoiceWindow: "voice", TextWindow: "text"}
)
Span = tuple[float, float]

BANDS: Final = ("upper", "middle", "lower")
"""Thirds of a face crop: brows and eyes, nose and cheeks, mouth and chin."""
_LEAST_PICTURES: Final = 6
"""Of these, a third is a moment."""
_CLEAR: Final = 0.25
"""A stretch of speech without which so much less is believed is what shows it. Segments overlap,
and cutting one out changes how the rest is seen: below, the deletion test fails too often."""
_MOST_WORDS: Final = 8
_FUNCTION_WORDS: Final = (
    "a an the and or of to in on at is are was were be am it its this that i you he she we they"
    " my your his her our their me him them us do does did have has had with for as so"
)
_ASIDE: Final = frozenset(_FUNCTION_WORDS.split())
"""Words that are not left out to see what they do."""


def parts_of(window: Window) -> list[Window]:
    """Return the windows that an engine is to be asked about, too, to see what each part says.

    Of a face its middle picture with each of `BANDS` covered: the clearest would show what is
    unusual; of a text itself without each of its first words that mean something; of a voice
    nothing.
    """
    match window:
        case FaceWindow():
            at, at_s = _middle(window)
            crop = window.crops[at : at + 1]
            return [FaceWindow(at_s, at_s, covered(crop, band)) for band in range(len(BANDS))]
        case VoiceWindow():
            return []
        case TextWindow():
            return [replace(window, text=rest) for rest in _shorter(window.text).values()]


def of(window: Window, answer: Answer, parts: Sequence[Opinion]) -> list[Clue]:
    """Return the clues of a window, from what an engine believes of it and of `parts_of` it."""
    match window:
        case FaceWindow():
            return _of_face(window, answer, parts)
        case VoiceWindow():
            return _of_voice(window, answer)
        case TextWindow():
            return _of_words(window, answer, parts)


def _of_face(window: FaceWindow, answer: Answer, covered_bands: Sequence[Opinion]) -> list[Clue]:
    """Return what leads in how many pictures, when and where in the face, and how heads move."""
    best, rows = _leading(answer), answer.rows.projected
    led = 100 * np.bincount(rows.argmax(axis=1), minlength=len(EMOTIONS)) / len(rows)
    found = [_clue("face.expression", float(led[best]), "%", window, best)]
    led[best] = 0
    if led.any():
        second = int(led.argmax())
        found.append(_clue("face.second", float(led[second]), "%", window, second))
    if len(rows) >= _LEAST_PICTURES:
        half = len(rows) // 2
        change = float(rows[half:, best].mean() - rows[:half, best].mean())
        found.append(_clue("face.course", change, "probability", window, best))
        most, drop = _most_telling(answer, _thirds(len(rows)))
        third_s = (window.end_s - window.start_s) / 3
        span_s = (most * third_s, (most + 1) * third_s)
        found.append(_moment("face.moment", window, best, drop, span_s))
    at, at_s = _middle(window)
    for band, opinion in zip(BANDS, covered_bands, strict=True):
        drop = float(rows[at, best] - opinion.projected[best])
        clue = _clue(f"face.{band}", drop, "probability", window, best)
        found.append(replace(clue, start_s=at_s, end_s=at_s))
    if window.turns is not None and len(window.turns) > 1:
        found.append(_clue("face.turning", float(window.turns.std()), "eye distances", window))
    if window.mouths is not None:
        found.append(_clue("face.mouth", float(np.median(window.mouths)), "eye distances", window))
    if window.sizes_px is not None and len(window.sizes_px) > 1:
        nearer = 100 * (float(window.sizes_px[-1]) / float(window.sizes_px[0]) - 1)
        found.append(_clue("face.nearing", nearer, "%", window))
    return found


def _of_voice(window: VoiceWindow, answer: Answer) -> list[Clue]:
    """Return what is heard in it, when most, and what `prosody` measures."""
    best, count = _leading(answer), len(answer.rows.uncertainty)
    sure = float(answer.opinion.projected[best])
    found = [_clue("voice.sound", sure, "probability", window, best)]
    most, drop = _most_telling(answer, [slice(n, n + 1) for n in range(count)] if count > 1 else [])
    if drop >= _CLEAR:
        hops = voice.spans(voice.log_mel(window.pcm))[most]
        span_s = (hops[0] * voice.HOP / SAMPLE_RATE_HZ, hops[1] * voice.HOP / SAMPLE_RATE_HZ)
        found.append(_moment("voice.moment", window, best, drop, span_s))
    measured = prosody(window).items()
    return found + [_clue(f"voice.{name}", value, UNITS[name], window) for name, value in measured]


def _of_words(window: TextWindow, answer: Answer, shorter: Sequence[Opinion]) -> list[Clue]:
    """Return what the words say, and how much less without each of those that were asked about."""
    best, spoken = _leading(answer), window.text.split()
    sure = float(answer.opinion.projected[best])
    found = [_clue("text.words", sure, "probability", window, best)]
    for n, opinion in zip(_shorter(window.text), shorter, strict=True):
        drop = sure - float(opinion.projected[best])
        name, word = f"text.word.{n + 1}", _bare(spoken[n])
        found.append(_clue(name, drop, "probability", window, best, word))
    return found


def without(rows: Opinion, left_out: slice) -> Opinion:
    """Return the opinion (K,) that rows (n, K) make together without some of them."""
    kept = np.ones(len(rows.uncertainty), bool)
    kept[left_out] = False
    pairs = zip(rows.belief[kept], rows.uncertainty[kept], strict=True)
    return averaging([Opinion(belief, uncertainty) for belief, uncertainty in pairs])


def covered(crops: npt.NDArray[np.uint8], band: int) -> npt.NDArray[np.uint8]:
    """Return crops (n, 48, 48) with one of `BANDS` covered by each crop's mean."""
    third = FACE_PX // len(BANDS)
    hidden = crops.copy()
    mean = crops.mean(axis=(1, 2), keepdims=True).astype(np.uint8)
    hidden[:, band * third : (band + 1) * third] = mean
    return hidden


def _most_telling(answer: Answer, parts: Sequence[slice]) -> tuple[int, float]:
    """Return without which part of the rows least is believed, and how much less; 0 of none."""
    best = _leading(answer)
    own = float(answer.opinion.projected[best])
    drops = [own - float(without(answer.rows, part).projected[best]) for part in parts]
    most = int(np.argmax(drops)) if drops else 0
    return most, drops[most] if drops else 0.0


def _moment(name: str, window: Window, best: int, drop: float, span_s: Span) -> Clue:
    """Make a clue of a stretch, given in seconds from the window's start."""
    start_s, end_s = (thousandths(window.start_s + at_s) for at_s in span_s)
    return replace(_clue(name, drop, "probability", window, best), start_s=start_s, end_s=end_s)


def _thirds(count: int) -> list[slice]:
    edges = [round(count * n / 3) for n in range(4)]
    return [slice(start, stop) for start, stop in pairwise(edges)]


def _middle(window: FaceWindow) -> tuple[int, float]:
    """Return which picture is in the middle, and when it was taken, as if all were evenly."""
    at = len(window.crops) // 2
    times_s = np.linspace(window.start_s, window.end_s, len(window.crops))
    return at, thousandths(float(times_s[at]))


def _leading(answer: Answer) -> int:
    return int(answer.opinion.projected.argmax())


def _shorter(said: str) -> dict[int, str]:
    """Return a text without each of its first words that mean something, by that word's place."""
    spoken = said.split()
    told = (n for n, word in enumerate(spoken) if _bare(word) and _bare(word) not in _ASIDE)
    rest = ((n, " ".join([*spoken[:n], *spoken[n + 1 :]])) for n in told)
    return dict(islice(((n, left) for n, left in rest if text.words(left)), _MOST_WORDS))


def _clue(
    name: str,
    value: float,
    unit: str,
    window: Window,
    about: int | None = None,
    word: str = "",
) -> Clue:
    """Make a clue of a whole window, ``about`` one of `EMOTIONS`."""
    emotion = None if about is None else EMOTIONS[about]
    start_s, end_s = thousandths(window.start_s), thousandths(window.end_s)
    return Clue(
        name, _SOURCES[type(window)], thousandths(value), unit, start_s, end_s, None, emotion, word
    )


def _bare(word: str) -> str:
    return word.strip(".,;:!?\"'()[]…-").lower()
