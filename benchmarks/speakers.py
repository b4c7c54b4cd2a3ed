"""How often speech is given to somebody of two in view, and how often to the right one.

    python -m benchmarks.speakers CLIPS --yunet MODEL [--sample-every-s S]

Takes clips of one talking face each, puts two of them side by side in a film with the voice of
one, and plays that through the pipeline up to its windows. Beside the one who speaks stands one
who listens (a pause of another clip, played to and fro) or one who talks without sound; or both
are in view while somebody else speaks, and to give them the voice is wrong. The rule was made on
the clips in `DEVELOPED`; the others are held out.
"""

import argparse
import asyncio
import tempfile
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import structlog
from rich.console import Console
from rich.table import Table

from benchmarks.films import Picture, write_film
from benchmarks.processes import machine
from benchmarks.takes import Take, read_take
from engines.window import SAMPLE_RATE_HZ
from streamer.config import Config, Faces, Video
from streamer.faces import Finder, find_faces, open_finder
from streamer.flow import AudioChunk, Epoch, Media, Sighting, Unseen, Window
from streamer.source import Recording
from streamer.speech import cut_speech
from streamer.windows import cut_windows
from streamer.worker import Worker
from train.certify import lower_bound

DEVELOPED = frozenset(
    {
        "bbaf2n",
        "lbax4n",
        "lrwp9a",
        "obama_20s",
        "sample_00000338",
        "sample_00001073",
        "sample_00004671",
    }
)
"""Every other clip in the order of their names."""

KINDS = (
    "one speaks, one listens",
    "one speaks, one talks without sound",
    "neither speaks, both listen",
    "neither speaks, one talks without sound",
)
_BEFORE_S, _AFTER_S = 0.4, 0.7
"""Of a clip around an utterance: enough for the utterance to begin and to end."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Two people side by side, and a voice."""

    kind: str
    pictures: Sequence[Picture]
    voice: Take
    from_s: float
    to_s: float
    speaks: int | None
    """0: the left one, 1: the right one; None: neither."""


@dataclass(slots=True)
class Tally:
    """What became of the utterances of one kind."""

    counts: Counter[str] = field(default_factory=Counter)

    def add(self, given: int | None, truth: int | None) -> None:
        """Count one utterance, given to a side or to nobody."""
        self.counts["heard"] += 1
        self.counts["given"] += given is not None
        self.counts["right"] += given is not None and given == truth

    def row(self) -> list[str]:
        """Return the cells: how many, given to somebody, right of these with an interval."""
        heard, given, right = (self.counts[each] for each in ("heard", "given", "right"))
        if not given:
            return [str(heard), "0 %", "-"]
        low, high = lower_bound(given - right, given, 0.025), 1 - lower_bound(right, given, 0.025)
        says = f"{right / given:.1%} [{low:.0%}, {high:.0%}] ({right} of {given})"
        return [str(heard), f"{given / heard:.0%}", says]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("clips", type=Path)
    parser.add_argument("--yunet", required=True, metavar="MODEL")
    parser.add_argument("--sample-every-s", type=float, default=Video().sample_every_s)
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    config = Config(
        faces=Faces(model=given.yunet), video=Video(sample_every_s=given.sample_every_s)
    )
    finder = open_finder(config.faces)
    takes = [read_take(path, finder, config) for path in sorted(given.clips.glob("*.m*"))]
    print(machine())
    title = f"two in view, a picture every {config.video.sample_every_s} s"
    table = Table("clips", "", "utterances", "given to somebody", "right of these", title=title)
    for group in ("developed on", "held out"):
        people = [take for take in takes if (take.name in DEVELOPED) == (group == "developed on")]
        for kind, tally in tallies(people, finder, config).items():
            table.add_row(f"{group} ({len(people)})", kind, *tally.row())
    Console(width=130).print(table)


def tallies(takes: Sequence[Take], finder: Finder, config: Config) -> dict[str, Tally]:
    """Play every scene that these people can make."""
    found = {kind: Tally() for kind in KINDS}
    with tempfile.TemporaryDirectory() as folder:
        for scene in scenes(takes):
            path = write_film(Path(folder) / "scene.mp4", scene.pictures, _voice(scene))
            for given in asyncio.run(given_to(path, finder, config)):
                found[scene.kind].add(given, scene.speaks)
    return found


def scenes(takes: Sequence[Take]) -> Iterator[Scene]:
    """Put everybody who speaks beside everybody else, left and right in turn."""
    for number, (voice, (start_s, end_s)) in enumerate((t, u) for t in takes for u in t.said_s):
        from_s, to_s = max(0.0, start_s - _BEFORE_S), min(voice.seconds, end_s + _AFTER_S)
        said = voice.between(from_s, to_s)
        others = [take for take in takes if take is not voice]
        for place, other in enumerate(others):
            side = (number + place) % 2
            third = others[(place + 1) % len(others)]
            beside = {KINDS[0]: (said, other.listening(len(said)))}
            beside[KINDS[1]] = (said, other.talking(len(said)))
            beside[KINDS[2]] = (third.listening(len(said)), other.listening(len(said)))
            beside[KINDS[3]] = (third.talking(len(said)), other.listening(len(said)))
            for kind, (one, two) in beside.items():
                if one and two:
                    speaks = side if one is said else None
                    pair = [one, two] if side == 0 else [two, one]
                    yield Scene(kind, side_by_side(*pair), voice, from_s, to_s, speaks)


async def given_to(film: Path, finder: Finder, config: Config) -> list[int | None]:
    """Return for each utterance of a film the side that it is given to: 0, 1 or None."""
    worker, sides = Worker("faces"), dict[int, int]()
    recording = Recording(film, config.video.sample_every_s, finder.small_px)

    async def media() -> AsyncIterator[Media]:
        for item in recording.read(threading.Event()):
            yield item

    async def watched() -> AsyncIterator[Epoch | AudioChunk | Sighting | Unseen]:
        async for item in find_faces(media(), finder, worker):
            for face in item.faces if isinstance(item, Sighting) else ():
                sides[face.track] = int(face.box_px[0] + face.box_px[2] / 2 > Take.side_px)
            yield item

    try:
        speech = cut_speech(watched(), config.vad, config.windows.longest_s)
        windows = [window async for window in cut_windows(speech, config.windows)]
    finally:
        worker.close()
    return [_side(window, sides) for window in windows if window.voice is not None]


def side_by_side(left: Sequence[Picture], right: Sequence[Picture]) -> list[Picture]:
    """Return the pictures of two people in one."""
    return [np.hstack(pair) for pair in zip(left, right, strict=True)]


def _voice(scene: Scene) -> npt.NDArray[np.int16]:
    start, end = (round(at_s * SAMPLE_RATE_HZ) for at_s in (scene.from_s, scene.to_s))
    return scene.voice.pcm[start:end]


def _side(window: Window, sides: dict[int, int]) -> int | None:
    return None if window.track is None else sides[window.track]


if __name__ == "__main__":
    main()
