"""The cameras of a node: each in a task of its own, they come, change and go while others run."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from functools import partial

import structlog

from streamer.announce import Announcer
from streamer.config import Camera
from streamer.faces import Finder
from streamer.judging import Judging
from streamer.live import CameraError
from streamer.metrics import Metrics
from streamer.running import Judge, Running, Waiting
from streamer.shedding import Relief, Shedding
from streamer.sinks.fanout import Sinks
from streamer.worker import Worker

log = structlog.get_logger()


class Place:
    """One camera's place in a node: what it shall be, and what runs."""

    def __init__(
        self, settings: Camera, judge: Judge, start: Callable[[Camera, Judge], Running]
    ) -> None:
        self.settings: Camera | None = settings
        """What it shall be; None when it shall go."""
        self.judge = judge
        self.running: Running | None = None
        """What ran last; None when it was never enabled."""
        self.over = False
        """Whether it has ended by itself, which only files do."""
        self._start = start
        self._news = asyncio.Event()

    def become(self, settings: Camera | None) -> None:
        """End what runs, which takes a moment, and then run with other settings, or none."""
        self.settings = settings
        self._news.set()
        if self.running:
            self.running.end()

    async def run(self, rest: Callable[[], Awaitable[None]], ended: Callable[[], None]) -> None:
        """Be what it shall be until it shall go.

        ``rest`` is called when it is disabled, ``ended`` when it has ended by itself.
        """
        while self.settings:
            self._news.clear()
            self.over = False
            if self.settings.enabled:
                self.running = self._start(self.settings, self.judge)
                await self.running.run()
                self.over = not self._news.is_set()
            else:
                await rest()
            if self.over:
                ended()
            await self._news.wait()


class Roster:
    """The cameras of a node. ``changed`` is called when there are others than before."""

    def __init__(
        self,
        judging: Judging,
        metrics: Metrics,
        sinks: Sinks,
        finders: Iterable[Finder],
        waiting: Waiting,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._judging, self._metrics, self._sinks = judging, metrics, sinks
        self._waiting, self._changed = waiting, changed
        self._shedding = Shedding(metrics.shedding.set)
        self._judges: list[Judge] = []
        self._places: dict[str, Place] = {}
        self._announcers: dict[str, Announcer] = {}
        self._stopped = asyncio.Event()
        self.grow(finders)

    @property
    def cameras(self) -> dict[str, Camera]:
        """What each camera shall be, as configured or as switched since."""
        return {name: place.settings for name, place in self._places.items() if place.settings}

    @property
    def failed(self) -> list[CameraError]:
        """Why files could not be played."""
        ran = [place.running for place in self._places.values() if place.running]
        return [running.failed for running in ran if running.failed]

    @property
    def finders(self) -> list[Finder]:
        """One for each thread that judges."""
        return [judge.finder for judge in self._judges]

    @property
    def workers(self) -> list[Worker]:
        """The threads that judge."""
        return [judge.worker for judge in self._judges]

    def grow(self, finders: Iterable[Finder]) -> None:
        """Have a thread more for each finder; cameras that have a place stay on theirs."""
        for finder in finders:
            number = len(self._judges) + 1
            self._judges.append(Judge(finder, Worker(f"engines {number}")))

    async def run(self, cameras: Iterable[Camera]) -> None:
        """Run cameras until stopped, or until every one is a file that has ended."""
        if self._stopped.is_set():
            return
        async with asyncio.TaskGroup() as self._group:
            self.take(cameras)
            await self._stopped.wait()

    def stop(self) -> None:
        """End every camera, finish its last windows, and let `run` return."""
        self._stopped.set()
        for place in self._places.values():
            place.become(None)

    def take(self, cameras: Iterable[Camera]) -> None:
        """Have these cameras, and no others; one whose settings are the same is not touched."""
        if self._stopped.is_set():
            return
        wanted = {camera.name: camera for camera in cameras}
        for name in self.cameras.keys() - wanted.keys():
            self._places[name].become(None)
        for camera in wanted.values():
            self._have(camera)
        self._changed()

    def switch(self, name: str, enabled: bool) -> None:
        """Enable or disable a camera, until other cameras are taken."""
        camera = self.cameras.get(name)
        if self._stopped.is_set() or camera is None:
            log.warning(f"no camera is named {name!r}, so none was switched")
            return
        log.info(f"camera {name}: switched {'on' if enabled else 'off'}")
        self._have(camera.model_copy(update={"enabled": enabled}))
        self._changed()

    def _have(self, camera: Camera) -> None:
        name, place = camera.name, self._places.get(camera.name)
        if place and place.settings == camera:
            return
        self._sinks.enlist(name, camera.enabled)
        if place:  # which may be about to go
            place.become(camera)
        else:
            self._metrics.add(name)
            place = self._places[name] = Place(camera, self._idlest(), self._start)
            self._group.create_task(self._keep(name, place), name=f"camera {name}")

    def _idlest(self) -> Judge:
        taken = [place.judge for place in self._places.values()]
        return min(self._judges, key=taken.count)

    async def _keep(self, name: str, place: Place) -> None:
        await place.run(partial(self._rest, name), self._ended)
        if not self._stopped.is_set():
            del self._places[name]
            self._metrics.remove(name)
            self._sinks.forget(name)
            self._changed()

    def _start(self, camera: Camera, judge: Judge) -> Running:
        name = camera.name
        if name not in self._announcers:  # which numbers its events for as long as the node runs
            first = self._sinks.mqtt.next_sequence(name) if self._sinks.mqtt else 0
            self._announcers[name] = self._judging.announcer(name, first)
        metrics, announcer = self._metrics.cameras[name], self._announcers[name]
        relief = Relief(metrics, self._shedding)
        return Running(
            camera, self._judging, metrics, self._sinks, judge, self._waiting, announcer, relief
        )

    async def _rest(self, name: str) -> None:
        self._metrics.cameras[name].gone("disabled")
        log.info(f"camera {name}: disabled")
        await self._sinks.status(name, online=False, why="disabled")

    def _ended(self) -> None:
        if all(place.over for place in self._places.values()):
            self.stop()
