"""How fast Whisper is: seconds of work per second of speech, by model.

    python -m benchmarks.whisper [FOLDER...] --clip CLIP

Each folder holds a model in faster-whisper's format; without one, those that `credence models
fetch` has put into the cache are taken. Every model hears the sound of the clip as one utterance
(int8, as Credence runs it), with one thread and with two; medians of five, after one to warm up.
Where the clip is not English, a translation is part of it.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.processes import existing, machine
from engines.window import VoiceWindow
from streamer.clip import read_sound
from streamer.config import WHISPER_SIZES
from streamer.models import is_cached, named
from streamer.whisper import Whisper

RUNS = 5
_THREADS = (1, 2)


def main() -> None:
    """Print a row for each model and count of threads."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("folders", metavar="FOLDER", type=existing, nargs="*")
    asked.add_argument("--clip", type=existing, required=True)
    given = asked.parse_args()
    folders = given.folders or list(_fetched())
    if not folders:
        print(
            "there is no Whisper model; name one's folder, or: credence models fetch whisper-tiny"
        )
        sys.exit(2)
    voice = VoiceWindow(0.0, read_sound(given.clip).astype(np.float32) / np.float32(32768))
    length_s = voice.end_s - voice.start_s
    names = ("MB", "threads", "s for it", "per s of speech")
    table = Table("model", *names, title=f"{given.clip.name}, {length_s:.1f} s")
    for folder in folders:
        megabytes = sum(file.stat().st_size for file in folder.glob("*.bin")) / 1e6
        for threads in _THREADS:
            heard_s = _heard_s(Whisper(folder, threads=threads), voice)
            figures = (f"{heard_s:.3f}", f"{heard_s / length_s:.3f}")
            table.add_row(folder.name, f"{megabytes:.0f}", str(threads), *figures)
    Console().print(table)
    print(machine())


def _fetched() -> Iterator[Path]:
    for size in WHISPER_SIZES:
        if is_cached(model := named(f"whisper-{size}")):
            yield model.place


def _heard_s(model: Whisper, voice: VoiceWindow) -> float:
    taken = []
    for _ in range(RUNS + 1):
        began_s = time.perf_counter()
        model.hear(voice)
        taken.append(time.perf_counter() - began_s)
    return statistics.median(taken[1:])


if __name__ == "__main__":
    main()
