"""Are explanations true, and what do they cost?

    python -m benchmarks.explanations DATA [--yunet MODEL]

DATA is the folder of the corpora; its `clips`, and of RAVDESS and MELD the validation people, are
judged and explained. Honesty: numbers and claims in the explanations of the clips
(`train.honesty`). Deletion: a cited part (a stretch of time, a third of the face, a word) is taken
out of what the engine is given (a third of the face is covered), as is in turn every other part
of its size; a case counts where the cited one moves the opinion more (total variation of the
projected probabilities).
"""

import argparse
import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import structlog

from benchmarks.processes import machine
from engines import examine
from engines.clues import Clue
from engines.engine import Engine
from engines.examine import BANDS
from engines.explain import TELLING
from engines.opinion import Opinion
from engines.preprocess import text
from engines.quality import measure
from engines.window import SAMPLE_RATE_HZ, FaceWindow, TextWindow, VoiceWindow, Window
from streamer import flow
from streamer.config import Config, Faces, Transcript
from streamer.ensemble import Ensemble, open_ensemble
from streamer.explain import explain
from streamer.faces import Finder, find_faces, open_finder
from streamer.flow import Media
from streamer.fuse import fuse
from streamer.handover import Handover
from streamer.recognise import judge
from streamer.source import Recording
from streamer.speech import cut_speech
from streamer.windows import cut_windows
from streamer.worker import Worker
from train.data import meld, ravdess
from train.honesty import unsupported, wrong_numbers

T = TypeVar("T")

SAMPLES = 200
"""Takes of RAVDESS, and sentences of MELD."""


@dataclass(slots=True)
class Found:
    """What came out."""

    cases: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))
    """By kind of part: whether the cited one moved the opinion more, for each other part."""
    plain_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    more_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    said_s: list[float] = field(default_factory=list)
    """What it takes from a verdict to its explanation."""
    explained: int = 0
    wrong: list[str] = field(default_factory=list)
    """Numbers and claims that were not measured."""


def main() -> None:
    """Print the tables."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("data", type=Path)
    asked.add_argument("--yunet", default="auto", help="the face detector's model")
    given = asked.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    config = Config(faces=Faces(model=given.yunet), transcript=Transcript(model="none"))
    ensemble, found = open_ensemble(config.engines), Found()
    finder = open_finder(config.faces)
    for path in sorted((given.data / "clips").glob("*.m[p]*")):
        windows = asyncio.run(cut(path, config, finder))
        asyncio.run(_explain(windows, ensemble, found))
        for window in windows:
            _judge(window, ensemble, found)
    for take in _takes(given.data):
        _examine(ensemble.engines["voice"], take, found)
    for said in _sentences(given.data):
        _examine(ensemble.engines["text"], said, found)
    _print(found)


def _print(found: Found) -> None:
    print(machine())
    print(f"{found.explained} windows of clips explained; not measured: {found.wrong or 'nothing'}")
    print("| cited part | cases | moves the opinion more |\n| --- | --- | --- |")
    for kind, right in sorted(found.cases.items()):
        print(f"| {kind} | {len(right)} | {np.mean(right):.1%} |")
    every = [each for right in found.cases.values() for each in right]
    print(f"| all | {len(every)} | {np.mean(every):.1%} |\n")
    print("| window | n | engines alone, median ms | clues on top | p99 |\n" + "| --- " * 5 + "|")
    said_ms = 1000 * np.array(found.said_s)
    p99_ms = np.percentile(said_ms, 99)
    print(f"| verdict and text | {len(said_ms)} | - | {np.median(said_ms):.1f} | {p99_ms:.1f} |")
    for kind, plain_s in found.plain_s.items():
        more_ms = 1000 * np.array(found.more_s[kind])
        print(
            f"| {kind} | {len(plain_s)} | {1000 * np.median(plain_s):.1f} |"
            f" {np.median(more_ms):.1f} | {np.percentile(more_ms, 99):.1f} |"
        )


async def cut(path: Path, config: Config, finder: Finder) -> list[flow.Window]:
    """Return what the pipeline cuts out of a recording."""
    recording, worker = Recording(path, config.video.sample_every_s, finder.small_px), Worker("x")
    async with Handover[Media](recording.read, name=path.stem) as media:
        speech = cut_speech(
            find_faces(aiter(media), finder, worker), config.vad, config.windows.longest_s
        )
        windows = [window async for window in cut_windows(speech, config.windows)]
    worker.close()
    return windows


async def _explain(windows: list[flow.Window], ensemble: Ensemble, found: Found) -> None:
    """Count what explanations say that was not measured, and time the last stage."""

    async def recognised() -> AsyncIterator[flow.Recognised]:
        for window in windows:
            yield judge(window, ensemble)

    async def judged() -> AsyncIterator[flow.Judged]:
        async for each in fuse(recognised()):
            began.append(time.perf_counter())
            yield each

    worker, began = Worker("x"), list[float]()
    async for each in explain(judged(), worker, words=True):
        found.said_s.append(time.perf_counter() - began[-1])
        assert each.explanation
        found.explained += 1
        found.wrong += wrong_numbers(each.explanation, each.clues)
        found.wrong += unsupported(each.explanation, each.clues)
    worker.close()


def _takes(data: Path) -> Iterator[VoiceWindow]:
    """Yield takes of people that no engine learnt from, two together."""
    takes = [take for take in ravdess.read(data, "valid").inputs if not isinstance(take, str)]
    for one, other in _some(list(zip(takes[::2], takes[1::2], strict=False))):
        yield VoiceWindow(0.0, np.concatenate([one, other]))


def _sentences(data: Path) -> Iterator[TextWindow]:
    said = [each for each in meld.read(data, "valid").inputs if isinstance(each, str)]
    for each in _some(said):
        yield TextWindow(0.0, 1.0, each)


def _some(every: list[T]) -> list[T]:
    return every[:: max(1, len(every) // SAMPLES)]


def _judge(window: flow.Window, ensemble: Ensemble, found: Found) -> None:
    for given in (window.face, window.voice):
        if given is not None:
            _examine(ensemble.engines["face" if given is window.face else "voice"], given, found)


def _examine(engine: Engine, given: Window, found: Found) -> None:
    """Time the clues of a window, and test those that name a part of it."""
    kind = engine.manifest.kind
    began_s = time.perf_counter()
    (answer,) = engine.answers([given])
    measure(given)
    plain_s = time.perf_counter()
    parts = engine.judge_all(examine.parts_of(given))
    named = {clue.id: clue for clue in examine.of(given, answer, parts)}
    found.more_s[kind].append(time.perf_counter() - plain_s)
    found.plain_s[kind].append(plain_s - began_s)
    for clue, maskings in _cited(given, named):
        own, *others = (
            _moved(answer.opinion, engine.judge(masked)) if masked else None for masked in maskings
        )
        found.cases[clue].extend(own > other for other in others if own and other is not None)


def _cited(given: Window, named: dict[str, Clue]) -> Iterator[tuple[str, list[Window | None]]]:
    """Yield each part that an explanation would cite: the window without it, and without each
    other part of its size."""
    match given:
        case FaceWindow():
            bands = [named[f"face.{band}"] for band in BANDS]
            most = max(range(len(BANDS)), key=lambda n: bands[n].value)
            if bands[most].value >= TELLING:
                order = [most, *(n for n in range(len(BANDS)) if n != most)]
                yield "face, third of it", [_hidden(given, n) for n in order]
            if (moment := named.get("face.moment")) and moment.value >= TELLING:
                yield "face, stretch of time", _without_pictures(given, moment)
        case VoiceWindow():
            if moment := named.get("voice.moment"):
                yield "voice, stretch of time", _without_sound(given, moment)
        case TextWindow():
            words = [clue for name, clue in named.items() if name.startswith("text.word.")]
            most_said = max(words, key=lambda clue: clue.value, default=None)
            if most_said and most_said.value >= TELLING:
                yield "text, a word", _without_words(given, int(most_said.id.split(".")[-1]) - 1)


def _hidden(given: FaceWindow, band: int) -> FaceWindow:
    return replace(given, crops=examine.covered(given.crops, band))


def _without_pictures(given: FaceWindow, moment: Clue) -> list[Window | None]:
    """Leave out thirds of the pictures, the cited third first."""
    count, length_s = len(given.crops), given.end_s - given.start_s
    cited = round((moment.start_s - given.start_s) / length_s * 3)
    masked: list[Window | None] = []
    for third in (cited, *(n for n in range(3) if n != cited)):
        left_out = slice(round(count * third / 3), round(count * (third + 1) / 3))
        masked.append(replace(given, crops=np.delete(given.crops, left_out, axis=0)))
    return masked


def _without_sound(given: VoiceWindow, moment: Clue) -> list[Window | None]:
    """Cut out the cited stretch, then those of its length one after another to both sides."""
    start = round((moment.start_s - given.start_s) * SAMPLE_RATE_HZ)
    length = round((moment.end_s - moment.start_s) * SAMPLE_RATE_HZ)
    before = range(start - length, -1, -length)
    others = [*before, *range(start + length, len(given.pcm) - length + 1, length)]
    masked: list[Window | None] = []
    for at in (start, *others):
        masked.append(replace(given, pcm=np.delete(given.pcm, slice(at, at + length))))
    return masked


def _without_words(given: TextWindow, cited: int) -> list[Window | None]:
    spoken = given.text.split()
    masked: list[Window | None] = []
    for at in (cited, *(n for n in range(len(spoken)) if n != cited)):
        shorter = replace(given, text=" ".join(spoken[:at] + spoken[at + 1 :]))
        masked.append(shorter if text.words(shorter.text) else None)
    return masked


def _moved(before: Opinion, after: Opinion) -> float:
    return 0.5 * float(np.abs(before.projected - after.projected).sum())


if __name__ == "__main__":
    main()
