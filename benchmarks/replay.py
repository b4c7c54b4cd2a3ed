"""What a recording costs at full speed on one core, and where the time goes.

    python -m benchmarks.replay RECORDING [--yunet MODEL]

CPU time of the whole process, start-up excluded; medians of five runs after one to warm up.
Each part is run on its own on the same input; the rest is what the whole costs beyond them.
"""

import argparse
import asyncio
import os
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import structlog
from rich.console import Console
from rich.table import Table

from benchmarks.processes import machine
from streamer.config import Config, Faces, Transcript
from streamer.ensemble import Ensemble
from streamer.event import EmotionEvent
from streamer.explanation import ExplanationEvent
from streamer.faces import Finder, Lookout
from streamer.flow import (
    AudioChunk,
    Epoch,
    Listening,
    Media,
    Sighting,
    Utterance,
    VideoFrame,
    Window,
)
from streamer.recognise import judge
from streamer.replay import open_replay
from streamer.source import Recording
from streamer.speech import Segmenter
from streamer.tracks import Tracker
from streamer.windows import Windower

RUNS = 5


class Nowhere:
    """Counts events and drops them."""

    def __init__(self) -> None:
        self.count = 0

    def put(self, event: EmotionEvent | ExplanationEvent) -> None:
        """Count one event."""
        self.count += 1


def main() -> None:
    """Print the table."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("recording", type=Path)
    asked.add_argument("--yunet", default="auto", help="the face detector's model")
    given = asked.parse_args()
    print(machine())
    show(given.recording, given.yunet)


def show(path: Path, yunet: str) -> None:
    """Print the table of a recording; the process stays on one core from then on."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    cv2.setNumThreads(1)
    config = Config(faces=Faces(model=yunet), transcript=Transcript(model="none"))
    player = open_replay(config)
    ensemble, finder = player.judging.panel.sitting, player.finder
    recording = Recording(path, config.video.sample_every_s, finder.small_px)
    media = list(recording.read(threading.Event()))
    length_s = max(item.pts_s for item in media if isinstance(item, AudioChunk | VideoFrame))
    windows = _windows(media, finder, config)
    parts: dict[str, Callable[[], object]] = {
        "decode, sample and resample": lambda: list(recording.read(threading.Event())),
        "find faces": lambda: _find(media, finder),
        "find speech": lambda: _utterances(media, config),
        "judge faces": lambda: _judge(windows, ensemble, "face"),
        "judge voices": lambda: _judge(windows, ensemble, "voice"),
    }
    output = Nowhere()
    whole_s = _cpu_s(lambda: asyncio.run(player.run([path], output)))
    spent = {name: _cpu_s(part) for name, part in parts.items()}
    table = Table("", "CPU s", "per s of media", title=f"{path.name}, {length_s:.1f} s, one core")
    spent["the rest"] = whole_s - sum(spent.values())
    for name, seconds in {**spent, "whole replay": whole_s}.items():
        table.add_row(name, f"{seconds:.3f}", f"{seconds / length_s:.4f}")
    Console().print(table)
    print(f"{output.count // (RUNS + 1)} events; {type(finder).__name__}")


def _cpu_s(work: Callable[[], object]) -> float:
    """Return the median CPU seconds of the work."""
    work()
    taken = []
    for _ in range(RUNS):
        began = time.process_time()
        work()
        taken.append(time.process_time() - began)
    return statistics.median(taken)


def _find(media: list[Media], finder: Finder) -> None:
    lookout = Lookout(finder)
    for item in media:
        if isinstance(item, VideoFrame):
            lookout.faces(item)


def _utterances(media: list[Media], config: Config) -> list[Utterance]:
    segmenter = Segmenter(config.vad, config.windows.longest_s)
    chunks = [item for item in media if isinstance(item, AudioChunk)]
    return [u for chunk in chunks for u in segmenter.feed(chunk)] + list(segmenter.close())


def _windows(media: list[Media], finder: Finder, config: Config) -> list[Window]:
    """Return the windows of the recording, for the engines alone."""
    segmenter, tracker = Segmenter(config.vad, config.windows.longest_s), Tracker()
    lookout, windower = Lookout(finder), Windower(config.windows)
    windows: list[Window] = []
    for item in media:
        match item:
            case Epoch():
                windows += windower.feed(item)
            case VideoFrame():
                faces = tracker.follow(item.pts_s, lookout.faces(item))
                windows += windower.feed(Sighting(item.pts_s, faces))
            case AudioChunk():
                for utterance in segmenter.feed(item):
                    windows += windower.feed(utterance)
                windows += windower.feed(Listening(segmenter.heard_s, segmenter.settled_s))
    return [*windows, *windower.close()]


def _judge(windows: list[Window], ensemble: Ensemble, kind: str) -> None:
    engines = {k: engine for k, engine in ensemble.engines.items() if k == kind}
    for window in windows:
        judge(window, Ensemble(engines, ensemble.policy))


if __name__ == "__main__":
    main()
