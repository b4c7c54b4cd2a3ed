"""What the store costs, beside JSON Lines, and how long it takes to answer when it is large.

    python -m benchmarks.store [--events 1000000] [--folder FOLDER]

First the events of 24 cameras are written, as a node would: to JSON Lines one by one, to a store
the 48 of a second at a time. Then a store is filled with a year of them and asked, as `credence
events` asks it. The numbers of each event are drawn anew, so that it takes as much room as a real
one. The folder is a new one where temporary files lie, unless given; a million take a gigabyte.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from io import BytesIO
from itertools import islice
from pathlib import Path

import numpy as np

from benchmarks.processes import machine
from benchmarks.spool import example
from engines.labels import EMOTIONS
from streamer.event import EmotionEvent, ModalityOpinion
from streamer.history import comma_separated, json_lines
from streamer.sinks.jsonl import JsonLines
from streamer.sinks.store_file import Keep, StoreFile
from streamer.stored import Stored, Wanted, stored

CAMERAS, A_SECOND, WRITTEN = 24, 48, 4800
YEAR = timedelta(days=365)
ENDED = datetime(2027, 1, 1, tzinfo=UTC)
KEEP = Keep(age_s=1e10, largest_bytes=10**12)


def main() -> None:
    """Print the figures of one run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.store")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        events = list(islice(drawn(given.events), WRITTEN))
        _cost("JSON Lines", Path(folder) / "events.jsonl", events, _lines)
        _cost("the store", Path(folder) / "few.sqlite3", events, _stored)
        path = Path(folder) / "many.sqlite3"
        _fill(path, given.events)
        with stored(path) as answers:
            _ask(answers)


def drawn(count: int) -> Iterator[EmotionEvent]:
    """Yield events of a year, the cameras in turn."""
    rng, like = np.random.default_rng(1), example()
    for n in range(count):
        camera = f"camera-{n % CAMERAS}"
        belief = [
            dict(zip(EMOTIONS, row, strict=True)) for row in rng.random((3, 7)).round(9).tolist()
        ]
        confidence, uncertainty, conflict = rng.random(3).round(9).tolist()
        opinions = like.data.opinions | {
            "face": _opinion(like.data.opinions["face"], belief[0], rng),
            "voice": _opinion(like.data.opinions["voice"], belief[1], rng),
        }
        data = like.data.model_copy(
            update={
                "window_id": rng.bytes(16).hex(),
                "camera": camera,
                "emotion": EMOTIONS[n // CAMERAS % len(EMOTIONS)],
                "trusted": confidence > 0.75,
                "confidence": confidence,
                "uncertainty": uncertainty,
                "conflict": conflict,
                "belief": belief[2],
                "opinions": opinions,
            }
        )
        yield like.model_copy(
            update={
                "id": f"{data.window_id}.final",
                "source": f"/credence/kitchen/{camera}",
                "subject": camera,
                "time": ENDED - YEAR * (1 - n / count),
                "sequence": f"{n // CAMERAS:020}",
                "data": data,
            }
        )


def _opinion(
    like: ModalityOpinion, belief: dict[str, float], rng: np.random.Generator
) -> ModalityOpinion:
    values = rng.random(len(like.quality)).round(9).tolist()
    quality = dict(zip(like.quality, values, strict=True))
    return like.model_copy(update={"belief": belief, "quality": quality})


def _cost(
    name: str,
    path: Path,
    events: list[EmotionEvent],
    write: Callable[[Path, list[EmotionEvent]], None],
) -> None:
    began_s, spent_s = time.perf_counter(), time.process_time()
    write(path, events)
    took_s, spent_s = time.perf_counter() - began_s, time.process_time() - spent_s
    size = path.stat().st_size / len(events)
    print(
        f"{name}: {1e6 * spent_s / len(events):.0f} µs of the processor per event,"
        f" {1e6 * took_s / len(events):.0f} µs by the clock, {size:.0f} bytes"
    )


def _lines(path: Path, events: list[EmotionEvent]) -> None:
    with closing(JsonLines(path)) as lines:
        for event in events:
            lines.put(event)


def _stored(path: Path, events: list[EmotionEvent]) -> None:
    with closing(StoreFile.open(path, KEEP)) as file:
        for at in range(0, len(events), A_SECOND):
            file.write(events[at : at + A_SECOND], time.time())


def _fill(path: Path, count: int) -> None:
    events, began_s = drawn(count), time.perf_counter()
    with closing(StoreFile.open(path, KEEP)) as file:
        while some := list(islice(events, 5000)):
            file.write(some, time.time())
    size_mb, took_s = path.stat().st_size / 1e6, time.perf_counter() - began_s
    print(f"{count} events of a year: {size_mb:.0f} MB, made and written in {took_s:.0f} s")


def _ask(answers: Stored) -> None:
    day, month = ENDED - timedelta(days=1), ENDED - timedelta(days=30)
    asked = {
        "the latest 50": Wanted(latest=50),
        "the latest 50 of one camera": Wanted(camera="camera-7", latest=50),
        "the latest 50, trusted, of one emotion and camera": Wanted(
            camera="camera-7", emotion="fear", trusted=True, latest=50
        ),
        "one camera's last day": Wanted(camera="camera-7", since=day),
        "fear, trusted, of the last 30 days": Wanted(emotion="fear", trusted=True, since=month),
        "a camera that there never was": Wanted(camera="nobody", latest=50),
    }
    for what, wanted in asked.items():
        began_s = time.perf_counter()
        found = sum(1 for _ in answers.events(wanted))
        listed_s = time.perf_counter() - began_s
        total, counted_s = answers.count(wanted), time.perf_counter() - began_s - listed_s
        print(
            f"{what}: {found} in {1e3 * listed_s:.0f} ms;"
            f" all {total} counted in {1e3 * counted_s:.0f} ms"
        )
    for name, write in (("jsonl", json_lines), ("csv", comma_separated)):
        out, began_s = _Sink(), time.perf_counter()
        write(answers.events(Wanted()), out)
        rate = answers.count(Wanted()) / (time.perf_counter() - began_s)
        print(f"export of all as {name}: {rate:.0f} events a second")


class _Sink(BytesIO):
    def write(self, data: object) -> int:
        return len(data)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
