"""Recordings through the same pipeline as cameras, at their own pace or as fast as it goes."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

import structlog

from streamer.announce import Announcer
from streamer.config import Config
from streamer.event import EmotionEvent
from streamer.faces import Finder, open_finder
from streamer.flow import Epoch, Media
from streamer.handover import Handover
from streamer.pipeline import events
from streamer.recognise import Ensemble, open_ensemble
from streamer.sinks.mqtt import MqttSink
from streamer.source import Recording, UnreadableError
from streamer.transcribe import Transcriber, open_transcriber
from streamer.worker import Worker

log = structlog.get_logger()


class Output(Protocol):
    """Where events are written on this machine."""

    def put(self, event: EmotionEvent) -> None:
        """Write one event."""


@dataclass(frozen=True, slots=True)
class Sinks:
    """Where events go: always to an output, and to a broker if there is one."""

    output: Output
    mqtt: MqttSink | None
    writer: Worker
    """The thread for the output: who reads it may be slow, and the loop must go on."""

    async def put(self, event: EmotionEvent) -> None:
        """Write the next event, and wait until the broker's queue has room for it."""
        await self.writer.run(self.output.put, event)
        if self.mqtt:
            await self.mqtt.put(event)

    async def status(self, camera: str, online: bool) -> None:
        """Say whether a camera's recording is running."""
        if self.mqtt:
            await self.mqtt.status(camera, online)


@dataclass(frozen=True, slots=True)
class Replay:
    """How recordings are replayed, and with what: opened once for all of them."""

    config: Config
    ensemble: Ensemble
    finder: Finder
    realtime: bool = False
    """At the recording's own pace; else as fast as it goes."""
    began: datetime | None = None
    """When the recordings began; None takes it from each file."""
    transcriber: Transcriber | None = None

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
        every_s, px = self.config.video.sample_every_s, self.finder.small_px
        recording = Recording(path, every_s, px, self.began, self.realtime)
        announcer = Announcer(
            self.config.node,
            camera,
            self.ensemble.hashes,
            self.ensemble.policy.hash,
            self.transcriber.hash if self.transcriber else None,
            self.config.transcript.publish,
        )
        count = 0
        async with Handover[Media](recording.read, name=camera) as media:
            stream = events(
                _announced(aiter(media), camera, sinks),
                config=self.config,
                finder=self.finder,
                ensemble=self.ensemble,
                announcer=announcer,
                worker=worker,
                transcriber=self.transcriber,
            )
            try:
                async with aclosing(stream):
                    async for event in stream:
                        count += 1
                        await sinks.put(event)
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
    """Open all that replays need; raise a CredenceError that says what is wrong with it."""
    ensemble, finder = open_ensemble(config.engines), open_finder(config.faces)
    words = open_transcriber(config, live=False)
    return Replay(config, ensemble, finder, realtime, began, words)


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
