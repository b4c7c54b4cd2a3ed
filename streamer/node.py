"""Many cameras in one process: each has a task of its own, all share the engines."""

import asyncio
import signal
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

import structlog

from engines.errors import CredenceError
from engines.processors import processors
from streamer.commands import Commands
from streamer.config import Config, Faces
from streamer.control import Claim
from streamer.event import EmotionEvent
from streamer.faces import Finder, Haar, open_finder
from streamer.judging import Judging, open_judging
from streamer.live import CameraError
from streamer.metrics import Metrics
from streamer.narrator import Narrator
from streamer.reload import Reloader
from streamer.report import Reporter
from streamer.roster import Roster
from streamer.running import Waiting
from streamer.sinks.fanout import Output, Sinks
from streamer.sinks.mqtt import MqttSink
from streamer.sinks.store import Store
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
    """Runs cameras until all are files that have ended, or it is stopped."""

    judging: Judging
    finders: Sequence[Finder]
    """One for each thread that judges, to begin with."""
    read: Callable[[], Config] | None = None
    """Reads the configuration again; without it, it never changes. Blocks."""
    waiting: Waiting = field(default_factory=Waiting)
    control: Claim | None = None
    """Where it takes commands on its own machine."""
    store: Store | None = None
    """Where events are kept for later."""
    listener: socket.socket | None = None
    """Where it serves metrics and health."""
    narrator: Narrator | None = None
    """Explains events once more."""

    def __post_init__(self) -> None:
        self.metrics = Metrics(camera.name for camera in self.judging.config.cameras)
        panel = self.judging.panel
        panel.wrap(self.metrics.timed)
        self.metrics.follow_engines(lambda: {"multilabel": panel.without_emotions})
        self.stopped = False
        """Whether it was told to stop."""
        self.hangup = asyncio.Event()
        """Set to have it read the configuration again."""
        self._roster: Roster | None = None

    def stop(self) -> None:
        """End every camera, finish its last windows, and let `run` return."""
        self.stopped = True
        if self._roster:
            self._roster.stop()

    @property
    def failed(self) -> list[CameraError]:
        """Why files could not be played."""
        return self._roster.failed if self._roster else []

    async def run(self, output: Output | None, mqtt: MqttSink | None) -> None:
        """Judge all cameras, and put events into both sinks; statuses go to the broker."""
        writer = Worker("output")
        if store := self.store:
            self.metrics.follow_store(lambda: store.lost)
        sinks = Sinks(output, mqtt, writer, self.store, self._taken, self.narrator)
        device = [batcher.worker] if (batcher := self.judging.batcher) else []
        reporter = Reporter(
            self.metrics, self.judging, mqtt, lambda: (*roster.workers, *device, writer)
        )
        roster = self._roster = Roster(
            self.judging, self.metrics, sinks, self.finders, self.waiting, reporter.again
        )
        try:
            async with asyncio.TaskGroup() as group:
                told = self._commands(mqtt, reporter, roster).take()
                commands = group.create_task(told, name="commands")
                reports = group.create_task(reporter.run(self.listener), name="reports")
                publishing = group.create_task(mqtt.run(), name="mqtt") if mqtt else None
                narrating = self._narrating(group, sinks)
                if not self.stopped:
                    await roster.run(self.judging.config.cameras)
                if narrating:
                    narrating.cancel()
                commands.cancel()
                reports.cancel()
                if mqtt and publishing:
                    await _take_leave(mqtt, publishing)
        finally:
            for worker in (*roster.workers, writer):
                worker.close()
            self.judging.close()

    def _narrating(self, group: asyncio.TaskGroup, sinks: Sinks) -> "asyncio.Task[None] | None":
        if self.narrator is None:
            return None
        self.metrics.follow_model(partial(self.narrator.counted, self.metrics.cameras))
        return group.create_task(self.narrator.run(sinks.explain), name="narrator")

    def _taken(self, event: EmotionEvent) -> None:
        self.metrics.cameras[event.subject].put(event, datetime.now(UTC))

    def _commands(self, mqtt: MqttSink | None, reporter: Reporter, roster: Roster) -> Commands:
        config, panel = self.judging.config, self.judging.panel

        def missing(cameras: int) -> list[Finder]:
            return missing_finders(config.faces, roster.finders, cameras)

        reloader = Reloader(config, self.read or (lambda: config), missing, roster)
        return Commands(
            panel, reloader, self.hangup, self.control, mqtt, config.mqtt, reporter.again
        )


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
    judging, finders = open_judging(config, live=True), [open_finder(config.faces)]
    finders += missing_finders(config.faces, finders, len(config.cameras))
    return Node(judging, finders)


def missing_finders(faces: Faces, there: Sequence[Finder], cameras: int) -> list[Finder]:
    """Open what so many cameras need beyond the finders that are there: a thread has one, and
    there are no more threads than processors. Blocks."""
    # A second look for a better detector would only repeat the warning.
    found = {"model": "haar"} if isinstance(there[0], Haar) else {}
    settings = faces.model_copy(update=found)
    threads = min(cameras, processors())
    return [open_finder(settings) for _ in range(len(there), threads)]


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
    loop.add_signal_handler(signal.SIGHUP, node.hangup.set)
    await node.run(output, mqtt)
