"""How long after the sound that closes an utterance its event is out, at a camera's pace.

    python -m benchmarks.latency FOLDER [--yunet MODEL]

Plays every recording of a folder in real time through the pipeline, without transcripts. An
utterance is closed by the silence behind it (`vad.hangover_s` after its last voiced frame).
"""

import argparse
import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import structlog

from benchmarks.ages import silenced_s
from benchmarks.feeds import length_s
from streamer.config import Config, Faces, Transcript
from streamer.flow import Epoch, Media
from streamer.handover import Handover
from streamer.pipeline import events
from streamer.replay import Replay, open_replay
from streamer.source import Recording
from streamer.worker import Worker


def main() -> None:
    """Print median and 99th percentile."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("folder", type=Path)
    asked.add_argument("--yunet", default="auto", help="the face detector's model")
    given = asked.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    config = Config(faces=Faces(model=given.yunet), transcript=Transcript(model="none"))
    player = open_replay(config, realtime=True)
    paths = sorted(path for path in given.folder.iterdir() if path.suffix in {".mp4", ".mpg"})
    late_s = asyncio.run(_all(paths, player))
    print(
        f"{len(late_s)} utterances of {len(paths)} recordings: event out"
        f" {np.median(late_s):.3f} s (median), {np.percentile(late_s, 99):.3f} s (p99)"
        " after the sound that closes the utterance"
    )


async def _all(paths: list[Path], player: Replay) -> list[float]:
    worker = Worker("engines")
    late_s = [late for path in paths for late in await _one(path, player, worker)]
    worker.close()
    return late_s


async def _one(path: Path, player: Replay, worker: Worker) -> list[float]:
    judging, settings = player.judging, player.judging.config
    recording = Recording(
        path, settings.video.sample_every_s, player.finder.small_px, realtime=True
    )
    began: list[float] = []

    async def noted(media: AsyncIterator[Media]) -> AsyncIterator[Media]:
        async for item in media:
            if isinstance(item, Epoch):
                began.append(time.monotonic())
            yield item

    late_s = []
    async with Handover[Media](recording.read, name=path.stem) as media:
        stream = events(
            noted(aiter(media)),
            config=settings,
            finder=player.finder,
            panel=judging.panel,
            announcer=judging.announcer("bench"),
            worker=worker,
        )
        ended_s = length_s(path)
        async for event in stream:
            closed_s = silenced_s(event.data.window.end_s, settings.vad)
            if event.data.window.kind == "speech" and closed_s < ended_s:
                late_s.append(time.monotonic() - began[-1] - closed_s)
    return late_s


if __name__ == "__main__":
    main()
