"""Many cameras in one process: each has a task of its own, all share the engines."""

import asyncio
import signal
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path

import structlog

from engines.errors import CredenceError
from engines.processors import processors
from streamer.commands import take_commands
from streamer.config import Config
from streamer.control import Claim
from streamer.event import EmotionEvent
from streamer.faces import Finder, Haar, open_finder
from streamer.judging import Judging, open_judging
from streamer.live import CameraError
from streamer.metrics import Metrics
from streamer.report import Reporter
from streamer.running import Judge, Running, Waiting
from streamer.shedding import Shedding
from streamer.sinks.fanout import Output, Sinks
from streamer.sinks.mqtt import MqttSink
from streamer.worker import Worker

log = structlog.get_logger()

_IMPATIENCE_S = 1.0
"""Signals that follow the first one sooner than this mean the same: a terminal, or `timeout`, may
send several."""
_FLUSH_S = 2.0
"""When stopped, the broker has so long to take what waits."""


class NoCamerasError(CredenceError):
    """There is nothing to run."""

    def __init__(self) -> None:
        super().__init__("no cameras are configured; list them under cameras: with name and url")


@dataclass(eq=False)
class Node:
    """Runs cameras until they have all ended, which only files do, or it is stopped."""

    judging: Judging
    finders: Sequence[Finder]
    """One for each thread that judges."""
    waiting: Waiting = field(default_factory=Waiting)
    control: Claim | None = None
    """Where it takes commands on its own machine."""
    listener: socket.socket | None = None
    """Where it serves metrics and health."""

    def __post_init__(self) -> None:
        self.metrics = Metrics(camera.name for camera in self.judging.config.cameras)
        self.judging.panel.wrap(self.metrics.timed)
        self.shedding = Shedding(self.metrics.shedding.set)
        self.stopped = False
        """Whether it was told to stop."""
        self._running: list[Running] = []

    def stop(self) -> None:
        """End every camera, finish its last windows, and let `run` return."""
        self.stopped = True
        for camera in self._running:
            camera.end()

    @property
    def failed(self) -> list[CameraError]:
        """Why files could not be played."""
        return [camera.failed for camera in self._running if camera.failed]

    async def run(self, output: Output | None, mqtt: MqttSink | None) -> None:
        """Judge all cameras, and put events into both sinks; statuses go to the broker."""
        writer = Worker("output")
        judges = [
            Judge(finder, Worker(f"engines {number}"))
            for number, finder in enumerate(self.finders, 1)
        ]
        workers = [judge.worker for judge in judges]
        sinks = Sinks(output, mqtt, writer, self._taken)
        device = [batcher.worker] if (batcher := self.judging.batcher) else []
        reporter = Reporter(self.metrics, self.judging, mqtt, (*workers, *device, writer))
        try:
            async with asyncio.TaskGroup() as group:
                commands = group.create_task(self._commands(mqtt, reporter), name="commands")
                reports = group.create_task(reporter.run(self.listener), name="reports")
                publishing = group.create_task(mqtt.run(), name="mqtt") if mqtt else None
                await self._cameras(judges, sinks)
                commands.cancel()
                reports.cancel()
                if mqtt and publishing:
                    await _take_leave(mqtt, publishing)
        finally:
            for worker in (*workers, writer):
                worker.close()
            self.judging.close()

    def _taken(self, event: EmotionEvent) -> None:
        self.metrics.cameras[event.subject].put(event, datetime.now(UTC))

    async def _commands(self, mqtt: MqttSink | None, reporter: Reporter) -> None:
        settings = self.judging.config.mqtt
        folder = settings.swap_from if settings else "none"
        swap_from = None if folder == "none" else Path(folder)
        panel = self.judging.panel
        await take_commands(panel, self.control, mqtt, swap_from, reporter.again)

    async def _cameras(self, judges: Sequence[Judge], sinks: Sinks) -> None:
        if self.stopped:
            return
        self._running = [
            Running(
                camera,
                self.judging,
                self.metrics.cameras[camera.name],
                sinks,
                judge,
                self.waiting,
                self.shedding,
            )
            for camera, judge in zip(self.judging.config.cameras, cycle(judges), strict=False)
        ]
        async with asyncio.TaskGroup() as group:
            for camera in self._running:
                group.create_task(camera.run(), name=f"camera {camera.name}")


async def _take_leave(mqtt: MqttSink, publishing: "asyncio.Task[None]") -> None:
    try:
        async with asyncio.timeout(_FLUSH_S):
            await mqtt.close()
    except TimeoutError:
        if mqtt.waiting:
            fate = "wait for the next start" if mqtt.lasting else "were given up"
            log.warning(f"the broker is away; events {fate}", events=mqtt.waiting)
        publishing.cancel()


def open_node(config: Config) -> Node:
    """Open engines and face finders; raise a CredenceError that says what is wrong with them."""
    if not config.cameras:
        raise NoCamerasError
    judging, first = open_judging(config, live=True), open_finder(config.faces)
    # A second look for a better detector would only repeat the warning.
    found = {"model": "haar"} if isinstance(first, Haar) else {}
    faces = config.faces.model_copy(update=found)
    threads = min(len(config.cameras), processors())
    return Node(judging, [first, *(open_finder(faces) for _ in range(1, threads))])


async def run_until_signalled(node: Node, output: Output | None, mqtt: MqttSink | None) -> None:
    """Run a node until its cameras have ended, or a signal stops it; a later one kills it."""
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)

    def die_of_the_next() -> None:
        for number in signals:
            loop.remove_signal_handler(number)

    def stop() -> None:
        if node.stopped:
            return
        log.info("stopping")
        node.stop()
        loop.call_later(_IMPATIENCE_S, die_of_the_next)

    for number in signals:
        loop.add_signal_handler(number, stop)
    await node.run(output, mqtt)
