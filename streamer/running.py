"""One live camera of a node, from connection to connection."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog

from streamer.announce import Announcer
from streamer.config import Camera
from streamer.faces import Finder, Haar
from streamer.flow import AudioChunk, Epoch, Media, Notice
from streamer.handover import Handover
from streamer.judging import Judging
from streamer.knock import returned
from streamer.live import TIMEOUT_S, CameraError, Live
from streamer.metrics import CameraMetrics
from streamer.presence import Presence
from streamer.pulse import STALL_S, Pulse, Stall
from streamer.reconnect import Reconnector, camera_backoff
from streamer.sampling import Sampling
from streamer.shedding import Relief
from streamer.sinks.fanout import Sinks
from streamer.sinks.jsonl import OutputError
from streamer.worker import Worker

log = structlog.get_logger()

_FLUSH_S: Final = 2.0
"""When ended, a camera has so long to finish its last windows."""
AWAY_S: Final = 30.0
"""A medium that stays away for so long may have been dropped for good: connect again. **ours**"""
_AWAY_MOST_S: Final = 3600.0
"""Each time that was done it is done less readily: sound may rest by itself while nobody speaks."""
_LOOK_S: Final = 0.5

_LONGEST_S: Final = 1.0
"""Media that has waited for longer is too old to be judged."""

_TOO_SLOW = "this machine is too slow, media is dropped; raise video.sample_every_s"
_YUNET = ", or get a faster face finder with: credence models fetch yunet"


@dataclass(frozen=True, slots=True)
class Judge:
    """A thread that judges, and what finds faces on it: not thread-safe, a camera stays on one."""

    finder: Finder
    worker: Worker


@dataclass(frozen=True, slots=True)
class Waiting:
    """How long a camera is waited for."""

    delays: Callable[[], Iterator[float]] = camera_backoff
    """Seconds before each next attempt."""
    timeout_s: float = TIMEOUT_S
    """A camera that is silent for longer is lost."""
    stall_s: float = STALL_S
    """A medium that is silent for longer has stalled."""
    away_s: float = AWAY_S
    """Picture or sound alone that is away for longer is worth a new connection."""


class Running:
    """A camera that runs, connection after connection, until it is ended, or a file ends."""

    def __init__(
        self,
        settings: Camera,
        judging: Judging,
        metrics: CameraMetrics,
        sinks: Sinks,
        judge: Judge,
        waiting: Waiting,
        announcer: Announcer,
        relief: Relief,
    ) -> None:
        self.name = settings.name
        self.failed: CameraError | None = None
        """Why a file could not be played. Other cameras are tried again for ever."""
        self._judging, self._metrics, self._sinks, self._judge = judging, metrics, sinks, judge
        self._presence = Presence(settings.name, metrics, sinks)
        self._announcer = announcer
        self._address = settings.address
        video = judging.config.video
        self._relief = relief
        sampling = Sampling(video.sample_every_s, judge.finder.small_px, relief)
        self._source = Live(
            settings.name,
            self._address,
            sampling,
            waiting.timeout_s,
            video.decoder,
            relief=relief,
        )
        self._stopping = asyncio.Event()
        self._stall_s, self._away_s = waiting.stall_s, waiting.away_s
        self._reconnect = Reconnector(
            self._stopping, waiting.delays, partial(returned, self._address)
        )
        self._handover: Handover[Media | Notice] | None = None
        self._limit: asyncio.Timeout | None = None
        self._media = ""
        self._lasting: tuple[str, ...] = ()
        self._stall: Stall | None = None
        self._passing = self._problem = ""
        self._told: set[str] = set()

    def end(self) -> None:
        """Take no more media, finish what is begun, and let `run` return."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        if self._handover:
            self._handover.end()
        if self._limit:
            self._limit.reschedule(asyncio.get_running_loop().time() + _FLUSH_S)

    async def run(self) -> None:
        """Judge what the camera sends, connection after connection. Never raises its errors."""
        await self._reconnect.hold(self._attempt)
        await self._presence.turn("ended", "" if self._stopping.is_set() else self._problem)

    async def _attempt(self) -> None:
        await self._presence.turn("connecting", self._problem)
        try:
            await self._guarded()
        except CameraError as error:
            self._problem = error.problem
            if self._stopping.is_set():
                return
            if not self._address.ends:
                await self._presence.turn("backing_off", self._problem)
                raise
            self.failed = error
            log.warning(str(error))
        else:
            self._problem = "the file has ended"

    async def _guarded(self) -> None:
        try:
            await self._session()
        except (CameraError, OutputError, BrokenPipeError):  # or nobody takes events any more
            raise
        except Exception as error:
            # On the worker: a traceback is made from files, and reading them blocks.
            said = f"camera {self.name}: its media could not be judged"
            await self._judge.worker.run(log.error, said, exc_info=error)
            raise CameraError(self.name, f"unexpected: {type(error).__name__}") from error

    async def _session(self) -> None:
        """One connection, from the first packet to the loss of the last."""
        lost: list[CameraError] = []
        pulse, self._stall = Pulse(self._stall_s), None
        reading = self._reading(pulse)
        try:
            async with reading as self._handover, asyncio.timeout(None) as self._limit:
                if not self._stopping.is_set():
                    await self._judged(reading, pulse, lost)
        except TimeoutError:
            if not self._stopping.is_set():
                raise
            log.warning(f"camera {self.name}: its last events were given up")
        finally:
            self._handover = self._limit = None
            self._relief.gone()
            if reading.dropped:
                said = f"camera {self.name}: media was dropped"
                log.warning(said, items=reading.dropped, of=reading.handed)
        if lost:
            raise lost.pop()  # what it is raised from would keep it, and all that it saw, alive
        if self._address.ends and not self._stopping.is_set():
            log.info(f"camera {self.name}: the file has ended")

    def _reading(self, pulse: Pulse) -> Handover[Media | Notice]:
        return Handover[Media | Notice](
            partial(self._source.read, pulse=pulse),
            name=self.name,
            longest_s=_LONGEST_S,
            droppable=lambda item: not isinstance(item, Epoch | Notice),
            drops=self._metrics.dropped,
        )

    async def _judged(
        self, handover: Handover[Media | Notice], pulse: Pulse, lost: list[CameraError]
    ) -> None:
        """Judge what comes to its end, and watch meanwhile whether it does."""
        name = f"watch {self.name}"
        watch = asyncio.create_task(self._watch(pulse, handover, lost), name=name)
        try:
            await self._judging.publish(
                self._until_lost(handover, lost),
                self._judge.finder,
                self._announcer,
                self._judge.worker,
                self._sinks,
                self._relief,
            )
        finally:
            watch.cancel()

    async def _until_lost(
        self, handover: Handover[Media | Notice], lost: list[CameraError]
    ) -> AsyncIterator[Media]:
        """Pass media on, and end where the camera is lost, so that open windows are finished."""
        overrun = False
        try:
            async for item in handover:
                self._relief.took(self._source.backlog.late_s + handover.waited_s)
                if isinstance(item, Notice):
                    self._passing = item.sentence
                    await self._tell()
                    continue
                if isinstance(item, Epoch):
                    await self._connected(item)
                if (handover.dropped or self._relief.skips) and not overrun:
                    overrun = True
                    faster = _YUNET if isinstance(self._judge.finder, Haar) else ""
                    log.warning(f"camera {self.name}: {_TOO_SLOW}{faster}")
                if isinstance(item, AudioChunk):
                    self._metrics.heard(item.skew_s)
                yield item
        except CameraError as error:
            lost.append(CameraError(self.name, error.problem, denied=error.denied))

    async def _connected(self, epoch: Epoch) -> None:
        self._reconnect.connected()
        changed = self._media not in ("", epoch.media)
        sentences = (
            f"it has changed, before it sent {self._media}" if changed else "",
            "" if epoch.has_audio else "it sends no sound, so only faces are judged",
            "" if epoch.has_video else "it sends no picture, so only voices are judged",
        )
        self._media = epoch.media
        self._lasting = tuple(filter(None, sentences))
        self._passing = self._problem = ""
        self._told.intersection_update(self._lasting)
        await self._tell()

    async def _watch(
        self, pulse: Pulse, handover: Handover[Media | Notice], lost: list[CameraError]
    ) -> None:
        """Tell when media stops coming and comes again; end a connection that lacks one long."""
        while not self._address.ends:  # a file may pause
            await asyncio.sleep(_LOOK_S)
            if self._presence.state not in ("streaming", "stalled"):
                continue
            before, self._stall = self._stall, pulse.stall(time.monotonic())
            if self._stall != before:
                await self._tell()
            if self._stall and self._stall.partial and self._stall.lasts(self._away_s):
                self._away_s = min(2 * self._away_s, _AWAY_MOST_S)
                lost.append(CameraError(self.name, f"its {self._stall.what} has not come back"))
                handover.end()
                return

    async def _tell(self) -> None:
        """Say that the camera works, or does not, and what is wrong with it all the same."""
        stall = self._stall
        sentences = tuple(filter(None, (str(stall or ""), *self._lasting, self._passing)))
        for sentence in sentences:
            if sentence not in self._told:
                log.warning(f"camera {self.name}: {sentence}")
        self._told.update(sentences)
        lacks = self._judging.lacks
        why = ". ".join((*sentences, lacks) if lacks else sentences)
        if stall:
            await self._presence.turn("stalled", why, online=stall.partial)
        else:
            await self._presence.turn("streaming", why, media=self._media)
