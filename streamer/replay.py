"""Recordings through the same pipeline as cameras, at their own pace or as fast as it goes."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog

from streamer.config import Config
from streamer.ensemble import warn_of_lacking
from streamer.faces import Finder, open_finder
from streamer.flow import Epoch, Media
from streamer.handover import Handover
from streamer.judging import Judging, open_judging
from streamer.narrator import Narrator
from streamer.progress import Advance, no_bars
from streamer.sinks.fanout import Output, Sinks
from streamer.sinks.mqtt import MqttSink
from streamer.sinks.store import Store
from streamer.source import Recording, UnreadableError
from streamer.worker import Worker

log = structlog.get_logger()

_PATIENCE_S = 2.0
"""A broker that takes longer for the last events is said to be waited for."""


@dataclass(frozen=True, slots=True)
class Replay:
    """How recordings are replayed, and with what: opened once for all of them."""

    judging: Judging
    finder: Finder
    realtime: bool = False
    """At the recording's own pace; else as fast as it goes."""
    began: datetime | None = None
    """When the recordings began; None takes it from each file."""

    async def run(
        self,
        files: Sequence[Path],
        output: Output,
        mqtt: MqttSink | None = None,
        advance: Advance = no_bars,
        store: Store | None = None,
        narrator: Narrator | None = None,
    ) -> list[UnreadableError]:
        """Replay recordings one after the other, each as a camera of its own name.

        ``advance`` is told how far it has come; ``narrator`` explains events once more.
        Returns the errors of those that could not be read; the others are not disturbed.
        """
        with closing(Worker("engines")) as engines, closing(Worker("output")) as writer:
            sinks = Sinks(output, mqtt, writer, store, narrator=narrator)
            if mqtt is None:
                return await self._narrated(files, engines, sinks, advance)
            async with asyncio.TaskGroup() as group:
                group.create_task(mqtt.run(), name="mqtt")
                failed = await self._narrated(files, engines, sinks, advance)
                leaving = group.create_task(mqtt.close(), name="mqtt close")
                if not (await asyncio.wait([leaving], timeout=_PATIENCE_S))[0]:
                    log.warning(
                        "all is judged, but the broker is away; Ctrl-C gives up what waits for it",
                        events=mqtt.waiting,
                    )
            return failed

    async def _narrated(
        self, files: Sequence[Path], worker: Worker, sinks: Sinks, advance: Advance
    ) -> list[UnreadableError]:
        """Do as `_all`, until what is explained later is, too."""
        if (narrator := sinks.narrator) is None:
            return await self._all(files, worker, sinks, advance)
        async with asyncio.TaskGroup() as group:
            narrating = group.create_task(narrator.run(sinks.explain), name="narrator")
            failed = await self._all(files, worker, sinks, advance)
            await narrator.finish()
            narrating.cancel()
        results = Counter[str]()
        for (_, result), count in narrator.results.items():
            results[result] += count
        log.info("what came of asking the language model", **results)
        return failed

    async def _all(
        self, files: Sequence[Path], worker: Worker, sinks: Sinks, advance: Advance
    ) -> list[UnreadableError]:
        failed = []
        for path, camera in zip(files, camera_names(files), strict=True):
            try:
                await self._one(path, camera, worker, sinks, advance)
            except UnreadableError as error:
                failed.append(error)
        return failed

    async def _one(
        self, path: Path, camera: str, worker: Worker, sinks: Sinks, advance: Advance
    ) -> None:
        every_s, px = self.judging.config.video.sample_every_s, self.finder.small_px
        recording = Recording(path, every_s, px, self.began, self.realtime)
        announcer = self.judging.announcer(camera)
        async with Handover[Media](recording.read, name=camera) as items:
            media = _measured(_announced(aiter(items), camera, sinks), path, advance)
            try:
                count = await self.judging.publish(media, self.finder, announcer, worker, sinks)
            finally:
                await sinks.status(camera, online=False)
        if not count:
            log.warning("nobody is seen or heard in the recording", file=path.name)


async def _announced(
    media: AsyncIterator[Media], camera: str, sinks: Sinks
) -> AsyncIterator[Media]:
    """Let media pass, and say that the camera is online when there are any."""
    async for item in media:
        if isinstance(item, Epoch):
            await sinks.status(camera, online=True)
        yield item


async def _measured(
    media: AsyncIterator[Media], path: Path, advance: Advance
) -> AsyncIterator[Media]:
    """Let media pass, and tell how much of its time has."""
    at_s = 0.0
    async for item in media:
        now_s = 0.0 if isinstance(item, Epoch) else item.pts_s
        if now_s > at_s:
            advance(path, now_s - at_s)
        at_s = 0.0 if isinstance(item, Epoch) else max(at_s, now_s)
        yield item


def open_replay(config: Config, *, realtime: bool = False, began: datetime | None = None) -> Replay:
    """Open engines and face finder; raise a CredenceError that says what is wrong with them."""
    judging = open_judging(config, live=False)
    warn_of_lacking(judging.panel.sitting)
    return Replay(judging, open_finder(config.faces), realtime, began)


def camera_names(files: Sequence[Path]) -> list[str]:
    """Name a camera after each file, so that it is an MQTT topic level and not used twice."""
    names: list[str] = []
    for path in files:
        name = base = re.sub(r"[^A-Za-z0-9_-]+", "-", path.stem).strip("-") or "recording"
        again = 1
        while name in names:
            again += 1
            name = f"{base}-{again}"
        names.append(name)
    return names
