"""What a node says of itself: info and stats over MQTT, metrics and health over HTTP."""

import asyncio
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

import structlog

from streamer import endpoint
from streamer.judging import Judging
from streamer.metrics import CONTENT_TYPE, Metrics
from streamer.sinks.mqtt import MqttSink
from streamer.stats import CameraStats, NodeInfo, NodeStats
from streamer.topics import INFO, STATS
from streamer.worker import Worker

log = structlog.get_logger()

STATS_S: Final = 30.0
"""Stats are published so often."""
STUCK_S: Final = 30.0
"""A thread whose call takes longer is not healthy; a window takes a fraction of a second."""


@dataclass(eq=False)
class Reporter:
    """Says how a node is doing, until cancelled."""

    metrics: Metrics
    judging: Judging
    mqtt: MqttSink | None
    threads: Callable[[], Iterable[Worker]]
    """Returns those that all cameras depend on."""
    _started: datetime = field(default_factory=lambda: datetime.now(UTC), init=False)
    _began_s: float = field(default_factory=time.monotonic, init=False)
    _used: tuple[float, float] = field(default=(0.0, 0.0), init=False)
    """Seconds of the processor, by the clock, when stats were made last."""

    def __post_init__(self) -> None:
        self._reader = Worker("metrics")
        self._news = asyncio.Event()
        if mqtt := self.mqtt:
            self.metrics.follow(lambda: mqtt.connected, lambda: mqtt.waiting, lambda: mqtt.lost)

    def again(self) -> None:
        """Publish at once: what the node is has changed."""
        self._news.set()

    async def run(self, listener: socket.socket | None) -> None:
        """Publish what and how the node is, and serve it where there is a listener."""
        pages = {"/metrics": self._metrics, "/healthz": self._healthz, "/readyz": self._readyz}
        try:
            async with asyncio.TaskGroup() as group:
                if listener:
                    group.create_task(endpoint.serve(listener, pages), name="pages")
                if self.mqtt:
                    group.create_task(self._publish(self.mqtt), name="stats")
        finally:
            self._reader.close()

    async def _publish(self, mqtt: MqttSink) -> None:
        while True:
            self._news.clear()
            info = NodeInfo.of(self.judging, self._started, self.metrics.cameras)
            mqtt.retain(info.model_dump_json().encode(), INFO)
            stats = await self._stats(mqtt)
            mqtt.retain(stats.model_dump_json().encode(), STATS)
            try:
                async with asyncio.timeout(STATS_S):
                    await self._news.wait()
            except TimeoutError:
                pass

    async def _stats(self, mqtt: MqttSink) -> NodeStats:
        reading = await self._reader.run(self.metrics.reading)
        memory = reading.value("process_resident_memory_bytes")
        return NodeStats(
            time=datetime.now(UTC),
            uptime_s=time.monotonic() - self._began_s,
            waiting=mqtt.waiting,
            shedding=int(reading.value("credence_shedding") or 0),
            cpu=self._cpu(reading.value("process_cpu_seconds_total")),
            memory_bytes=None if memory is None else int(memory),
            cameras={
                name: CameraStats.of(camera, reading)
                for name, camera in self.metrics.cameras.items()
            },
        )

    def _cpu(self, used_s: float | None) -> float | None:
        if used_s is None:
            return None
        now_s, (before_s, then_s) = time.monotonic(), self._used
        self._used = used_s, now_s
        if then_s == 0:  # of the start, when engines were loaded
            return None
        return (used_s - before_s) / max(now_s - then_s, 1e-3)

    async def _metrics(self) -> endpoint.Page:
        return endpoint.Page(await self._reader.run(self.metrics.page), kind=CONTENT_TYPE)

    async def _healthz(self) -> endpoint.Page:
        """That this answers at all says that the loop lives."""
        return _verdict(
            f"the thread {thread.name!r} has been busy with one call for {thread.busy_s:.0f} s"
            for thread in self.threads()
            if thread.busy_s > STUCK_S
        )

    async def _readyz(self) -> endpoint.Page:
        reasons = [
            f"camera {camera.name}: it is tried for the first time"
            for camera in self.metrics.cameras.values()
            if not camera.tried
        ]
        if self.mqtt and not self.mqtt.connected:
            reasons.append("the broker is not connected")
        return _verdict(reasons)


def describe(judging: Judging, broker: str | None) -> None:
    """Log what is about to run."""
    config, ensemble = judging.config, judging.panel.sitting
    for camera in config.cameras:
        log.info(f"camera {camera.name}", at=camera.address.shown)
    for kind, engine in ensemble.everyone.items():
        name, licence = engine.manifest.name, engine.manifest.licence
        log.info(f"engine {kind}", name=name, hash=engine.hash, licence=licence)
        log.info(f"engine {kind} runs on {engine.choice}")
    log.info("policy", name=ensemble.policy.name, hash=ensemble.policy.hash)
    if broker:
        log.info("events go to a broker", broker=broker, node=config.node)
    if model := config.language_model:
        words = config.transcript.publish
        log.info("clues go to a language model", at=model.url, model=model.model, words=words)
    if store := config.store.file(config.node):
        log.info("events are kept", file=str(store), days=config.store.keep_days)


def _verdict(reasons: Iterable[str]) -> endpoint.Page:
    lines = list(reasons)
    status = HTTPStatus.SERVICE_UNAVAILABLE if lines else HTTPStatus.OK
    return endpoint.Page("".join(f"{line}\n" for line in lines or ["ok"]).encode(), status)
