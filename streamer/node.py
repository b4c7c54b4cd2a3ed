"""Many cameras in one process: each has a task of its own, all share the engines."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path

import structlog

from engines.errors import CredenceError
from engines.processors import processors
from streamer.announce import Announcer
from streamer.commands import take_commands
from streamer.config import Camera, Config
from streamer.control import Claim
from streamer.decode import Sampling
from streamer.event import EmotionEvent
from streamer.faces import Finder, Haar, open_finder
from streamer.flow import Epoch, Media, Notice
from streamer.handover import Handover
from streamer.judging import Judging, open_judging
from streamer.live import TIMEOUT_S, CameraError, Live
from streamer.metrics import Metrics
from streamer.reconnect import Reconnector, camera_backoff
from streamer.report import Reporter
from streamer.sinks.fanout import Output, Sinks
from streamer.sinks.jsonl import OutputError
from streamer.sinks.mqtt import MqttSink
from streamer.worker import Worker

log = structlog.get_logger()

_IMPATIENCE_S = 1.0
"""Signals that follow the first one sooner than this mean the same: a terminal, or `timeout`, may
send several."""

FLUSH_S = 2.0
"""When stopped, each camera has so long to finish its last windows, and then the broker to take
what waits."""

_TOO_SLOW = "this machine is too slow, media is dropped; raise video.sample_every_s"
_YUNET = ", or get a faster face finder with: credence models fetch yunet"


class NoCamerasError(CredenceError):
    """There is nothing to run."""

    def __init__(self) -> None:
        super().__init__("no cameras are configured; list them under cameras: with name and url")


@dataclass(eq=False)
class Node:
    """Runs cameras until they have all ended, which only files do, or it is stopped."""

    judging: Judging
    finders: Sequence[Finder]
    """One for each thread that judges, as a finder is not thread-safe. A camera stays on one."""
    delays: Callable[[], Iterator[float]] = camera_backoff
    timeout_s: float = TIMEOUT_S
    """A camera that is silent for longer is lost."""
    failed: list[CameraError] = field(default_factory=list)
    """Files that could not be played. Other cameras are tried again for ever."""
    control: Claim | None = None
    """Where it takes commands on its own machine."""
    listener: socket.socket | None = None
    """Where it serves metrics and health."""

    def __post_init__(self) -> None:
        self.metrics = Metrics(camera.name for camera in self.judging.config.cameras)
        self.judging.panel.wrap(self.metrics.timed)
        self.stopping = asyncio.Event()
        self._running: list[_Running] = []

    def stop(self) -> None:
        """End every camera, finish its last windows, and let `run` return."""
        self.stopping.set()
        for camera in self._running:
            camera.end()

    @property
    def stopped(self) -> bool:
        """Whether it was told to stop."""
        return self.stopping.is_set()

    async def run(self, output: Output | None, mqtt: MqttSink | None) -> None:
        """Judge all cameras, and put events into both sinks; statuses go to the broker."""
        writer = Worker("output")
        judges = [Worker(f"engines {number}") for number, _ in enumerate(self.finders, 1)]
        sinks = Sinks(output, mqtt, writer, self._taken)
        device = [batcher.worker] if (batcher := self.judging.batcher) else []
        reporter = Reporter(self.metrics, self.judging, mqtt, (*judges, *device, writer))
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
            for worker in (*judges, writer):
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

    async def _cameras(self, judges: Sequence[Worker], sinks: Sinks) -> None:
        threads = cycle(zip(self.finders, judges, strict=True))
        self._running = [
            _Running(self, camera, *next(threads), sinks) for camera in self.judging.config.cameras
        ]
        async with asyncio.TaskGroup() as group:
            for camera in self._running:
                group.create_task(camera.run(), name=f"camera {camera.name}")


class _Running:
    """One camera of a node."""

    def __init__(
        self, node: Node, settings: Camera, finder: Finder, worker: Worker, sinks: Sinks
    ) -> None:
        self.name = settings.name
        self._node, self._finder, self._worker, self._sinks = node, finder, worker, sinks
        first = sinks.mqtt.next_sequence(settings.name) if sinks.mqtt else 0
        self._announcer: Announcer = node.judging.announcer(settings.name, first)
        self._metrics = node.metrics.cameras[settings.name]
        self._address = settings.address
        video = node.judging.config.video
        sampling = Sampling(video.sample_every_s, finder.small_px)
        self._source = Live(settings.name, self._address, sampling, node.timeout_s, video.decoder)
        self._reconnect = Reconnector(node.stopping, node.delays)
        self._handover: Handover[Media | Notice] | None = None
        self._limit: asyncio.Timeout | None = None
        self._media = ""
        self._lasting: tuple[str, ...] = ()
        self._told: set[str] = set()

    def end(self) -> None:
        """Take no more media, and finish what is begun."""
        if self._handover:
            self._handover.end()
        if self._limit:
            self._limit.reschedule(asyncio.get_running_loop().time() + FLUSH_S)

    async def run(self) -> None:
        """Judge what the camera sends, connection after connection. Never raises its errors."""
        await self._sinks.status(self.name, online=False)
        await self._reconnect.hold(self._guarded)
        self._metrics.gone("ended")

    async def _guarded(self) -> None:
        why = ""
        self._metrics.gone("connecting")
        try:
            await self._session()
        except CameraError as error:
            why = error.problem
            if not self._address.ends:
                raise
            self._node.failed.append(error)
            log.warning(str(error))
        except (OutputError, BrokenPipeError):  # nobody takes the events of any camera
            raise
        except Exception as error:
            # On the worker: a traceback is made from files, and reading them blocks.
            said = f"camera {self.name}: its media could not be judged"
            await self._worker.run(log.error, said, exc_info=error)
            why = f"unexpected: {type(error).__name__}"
            raise CameraError(self.name, why) from error
        finally:
            self._metrics.gone("backing_off")
            await self._sinks.status(self.name, online=False, why=why)

    async def _session(self) -> None:
        """One connection, from the first packet to the loss of the last."""
        lost: list[str] = []
        dropping = Handover[Media | Notice](
            self._source.read,
            name=self.name,
            droppable=lambda item: not isinstance(item, Epoch | Notice),
            drops=self._metrics.dropped,
        )
        try:
            async with dropping as self._handover, asyncio.timeout(None) as self._limit:
                if self._node.stopped:
                    return
                media = self._until_lost(self._handover, lost)
                await self._node.judging.publish(
                    media, self._finder, self._announcer, self._worker, self._sinks
                )
        except TimeoutError:
            log.warning(f"camera {self.name}: its last events were given up")
        finally:
            self._handover = self._limit = None
            if dropping.dropped:
                said = f"camera {self.name}: media was dropped"
                log.warning(said, items=dropping.dropped, of=dropping.handed)
        if lost:
            raise CameraError(self.name, lost[0])
        if self._address.ends and not self._node.stopped:
            log.info(f"camera {self.name}: the file has ended")

    async def _until_lost(
        self, handover: Handover[Media | Notice], lost: list[str]
    ) -> AsyncIterator[Media]:
        """Pass media on, and end where the camera is lost, so that open windows are finished."""
        overrun = False
        try:
            async for item in handover:
                if isinstance(item, Notice):
                    await self._online(item.sentence)
                    continue
                if isinstance(item, Epoch):
                    await self._connected(item)
                if handover.dropped and not overrun:
                    overrun = True
                    faster = _YUNET if isinstance(self._finder, Haar) else ""
                    log.warning(f"camera {self.name}: {_TOO_SLOW}{faster}")
                yield item
        except CameraError as error:
            lost.append(error.problem)

    async def _connected(self, epoch: Epoch) -> None:
        self._reconnect.connected()
        self._metrics.streaming()
        log.info(f"camera {self.name}: online", media=epoch.media)
        changed = self._media not in ("", epoch.media)
        sentences = (
            f"it has changed, before it sent {self._media}" if changed else "",
            "" if epoch.has_audio else "it sends no sound, so only faces are judged",
            "" if epoch.has_video else "it sends no picture, so only voices are judged",
        )
        self._media = epoch.media
        self._lasting = tuple(filter(None, sentences))
        self._told.intersection_update(self._lasting)
        await self._online()

    async def _online(self, passing: str = "") -> None:
        """Say that the camera works, and what is wrong with it all the same."""
        sentences = tuple(filter(None, (*self._lasting, passing)))
        for sentence in sentences:
            if sentence not in self._told:
                log.warning(f"camera {self.name}: {sentence}")
        self._told.update(sentences)
        lacks = self._node.judging.lacks
        why = ". ".join((*sentences, lacks) if lacks else sentences)
        await self._sinks.status(self.name, online=True, why=why)


async def _take_leave(mqtt: MqttSink, publishing: "asyncio.Task[None]") -> None:
    try:
        async with asyncio.timeout(FLUSH_S):
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
