"""What several emotions at once cost beside the verdict, for each window of speech.

    python -m benchmarks.several CLIPS [--yunet MODEL]

Windows of speech of all recordings in a folder, judged by face and voice and then again with
words, a sentence in place of a transcript. CPU time of the whole process, on one core, medians of
seven rounds in which both take turns; an event and its update ask the engine twice.
"""

import argparse
import asyncio
import os
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import cv2
import structlog

from benchmarks.explanations import cut
from benchmarks.processes import machine
from streamer.config import Config, Faces
from streamer.ensemble import Panel, open_ensemble
from streamer.event import Transcript
from streamer.faces import open_finder
from streamer.flow import Recognised, Said, Window
from streamer.recognise import add_words, recognise
from streamer.worker import Worker

ROUNDS: Final = 7
SAID: Final = Transcript(
    text="I never thought that you would come back, how wonderful!",
    language="en",
    translation=None,
    words=(),
    avg_logprob=-0.2,
    no_speech_prob=0.01,
)


def main() -> None:
    """Print what a window costs with and without."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("clips", type=Path)
    asked.add_argument("--yunet", default="auto", help="the face detector's model")
    given = asked.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    cv2.setNumThreads(1)
    config = Config(faces=Faces(model=given.yunet))
    asyncio.run(_measure(sorted(given.clips.glob("*.mp*")), config))


async def _measure(clips: Sequence[Path], config: Config) -> None:
    finder, worker = open_finder(config.faces), Worker("judge")
    every = [window for path in clips for window in await cut(path, config, finder)]
    spoken = [window for window in every if window.kind == "speech"]
    if not spoken:
        raise SystemExit("nobody speaks in these recordings; name a folder of others")
    panels = {
        name: Panel(open_ensemble(config.engines, multilabel=several))
        for name, several in (("the verdict", False), ("with several emotions", True))
    }
    spent: dict[str, list[float]] = {name: [] for name in panels}
    for _ in range(1 + ROUNDS):  # one to warm up
        for name, panel in panels.items():
            began = time.process_time()
            count = [each.phase async for each in _judged(spoken, panel, worker)].count("final")
            assert count == len(spoken)
            spent[name].append(1000 * (time.process_time() - began) / len(spoken))
    worker.close()
    without, with_ = (statistics.median(each[1:]) for each in spent.values())
    for name, ms in zip(panels, (without, with_), strict=True):
        print(f"{name}: {ms:.1f} ms of CPU a window of speech")
    print(f"added: {with_ - without:.1f} ms; {len(spoken)} windows of {len(clips)} recordings")
    print(machine())


async def _judged(
    windows: Sequence[Window], panel: Panel, worker: Worker
) -> AsyncIterator[Recognised]:
    """Judge windows twice: at once, and with the words."""
    heard: asyncio.Future[Said] = asyncio.get_running_loop().create_future()
    heard.set_result(SAID)

    async def each() -> AsyncIterator[Window]:
        for window in windows:
            yield replace(window, said=heard)

    async for one in add_words(recognise(each(), panel, worker), panel, worker, in_step=True):
        yield one


if __name__ == "__main__":
    main()
