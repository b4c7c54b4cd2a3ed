"""Recordings through the same pipeline as cameras, at their own pace or as fast as it goes."""

import asyncio
import re
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

import structlog

from streamer.announce import Announcer
from streamer.config import Config
from streamer.event import EmotionEvent
from streamer.faces import Finder, open_finder
from streamer.flow import Media
from streamer.handover import Handover
from streamer.pipeline import events
from streamer.recognise import Ensemble, open_ensemble
from streamer.sinks.mqtt import MqttSink
from streamer.source import Recording, UnreadableError
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

    async def put(self, event: EmotionEvent) -> None:
        """Write the next event, and wait until the broker's queue has room for it."""
        self.output.put(event)
        if self.mqtt:
            await self.mqtt.put(event)

    async def status(self, camera: str, online: bool) -> None:
        """Say whether a camera's recording is running."""
        if self.mqtt:
            await self.mqtt.status(camera, online)


@dataclass(frozen=True, slots=True)
class Replay:
    """How recordings are replayed."""

    config: Config
    realtime: bool
    began: datetime | None
    """When the first of them was recorded; None takes it from each file."""


async def replay(
    files: Sequence[Path], how: Replay, output: Output, mqtt: MqttSink | None
) -> list[UnreadableError]:
    """Replay recordings one after the other, each as a camera of its own name.

    Returns the errors of those that could not be read; the others are not disturbed by them.
    """
    ensemble = open_ensemble(how.config.engines)
    finder = open_finder(how.config.faces)
    sinks = Sinks(output, mqtt)
    if mqtt is None:
        return await _all(files, how, ensemble, finder, sinks)
    async with asyncio.TaskGroup() as group:
        group.create_task(mqtt.run(), name="mqtt")
        failed = await _all(files, how, ensemble, finder, sinks)
        await mqtt.close()
    return failed


async def _all(
    files: Sequence[Path],
    how: Replay,
    ensemble: Ensemble,
    finder: Finder,
    sinks: Sinks,
) -> list[UnreadableError]:
    failed = []
    worker = Worker("engines")
    try:
        for path, camera in zip(files, camera_names(files), strict=True):
            announcer = Announcer(how.config.node, camera, ensemble.hashes, ensemble.policy.hash)
            recording = Recording(
                path, how.config.video.sample_every_s, finder.small_px, how.began, how.realtime
            )
            try:
                await _one(recording, how.config, finder, ensemble, announcer, worker, sinks)
            except UnreadableError as error:
                failed.append(error)
    finally:
        worker.close()
    return failed


async def _one(
    recording: Recording,
    config: Config,
    finder: Finder,
    ensemble: Ensemble,
    announcer: Announcer,
    worker: Worker,
    sinks: Sinks,
) -> None:
    count = 0
    async with Handover[Media](recording.read, name=announcer.camera) as media:
        await sinks.status(announcer.camera, online=True)
        stream = events(
            aiter(media),
            config=config,
            finder=finder,
            ensemble=ensemble,
            announcer=announcer,
            worker=worker,
        )
        async with aclosing(stream):
            async for event in stream:
                count += 1
                await sinks.put(event)
        await sinks.status(announcer.camera, online=False)
    if not count:
        log.warning("nobody is seen or heard in the recording", file=recording.path.name)


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
