"""Recordings through the same pipeline as cameras, at their own pace or as fast as it goes."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog

from streamer.config import Config
from streamer.faces import Finder, open_finder
from streamer.flow import Epoch, Media
from streamer.handover import Handover
from streamer.judging import Judging, open_judging
from streamer.sinks.fanout import Output, Sinks
from streamer.sinks.mqtt import MqttSink
from streamer.source import Recording, UnreadableError
from streamer.worker import Worker

log = structlog.get_logger()


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
        self, files: Sequence[Path], output: Output, mqtt: MqttSink | None = None
    ) -> list[UnreadableError]:
        """Replay recordings one after the other, each as a camera of its own name.

        Returns the errors of those that could not be read; the others are not disturbed.
        """
        with closing(Worker("engines")) as engines, closing(Worker("output")) as writer:
            sinks = Sinks(output, mqtt, writer)
            if mqtt is None:
                return await self._all(files, engines, sinks)
            async with asyncio.TaskGroup() as group:
                group.create_task(mqtt.run(), name="mqtt")
                failed = await self._all(files, engines, sinks)
                await mqtt.close()
            return failed

    async def _all(
        self, files: Sequence[Path], worker: Worker, sinks: Sinks
    ) -> list[UnreadableError]:
        failed = []
        for path, camera in zip(files, camera_names(files), strict=True):
            try:
                await self._one(path, camera, worker, sinks)
            except UnreadableError as error:
                failed.append(error)
        return failed

    async def _one(self, path: Path, camera: str, worker: Worker, sinks: Sinks) -> None:
        every_s, px = self.judging.config.video.sample_every_s, self.finder.small_px
        recording = Recording(path, every_s, px, self.began, self.realtime)
        announcer = self.judging.announcer(camera)
        async with Handover[Media](recording.read, name=camera) as items:
            media = _announced(aiter(items), camera, sinks)
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


def open_replay(config: Config, *, realtime: bool = False, began: datetime | None = None) -> Replay:
    """Open engines and face finder; raise a CredenceError that says what is wrong with them."""
    return Replay(open_judging(config, live=False), open_finder(config.faces), realtime, began)


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
