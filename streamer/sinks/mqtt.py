"""Events to an MQTT broker. `docs/mqtt.md` is for readers."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

import aiomqtt

from streamer.broker import IN_FLIGHT, Broker, Client
from streamer.event import CONTENT_TYPE, EmotionEvent
from streamer.link import Link, backoff
from streamer.state import CameraState

_BATCH: Final = IN_FLIGHT // 2
_ONLINE: Final = b"online"
_OFFLINE: Final = b"offline"


class SinkClosedError(RuntimeError):
    """Something was put into a sink after it was closed."""


@dataclass(frozen=True, slots=True)
class _Message:
    topic: str
    payload: bytes
    retain: bool = False
    content_type: str = ""


class MqttSink:
    """Publishes events, camera by camera in order, each at least once.

    `run` does the work and must be running, or about to, wherever another method waits. At most
    ``limit`` events wait in memory; one leaves only when the broker has acknowledged it.
    """

    def __init__(
        self,
        broker: Broker,
        node: str,
        *,
        limit: int = 256,
        delays: Callable[[], Iterator[float]] = backoff,
    ) -> None:
        self._broker, self._node, self._limit = broker, node, limit
        self._availability = broker.topic(node, "availability")
        will = aiomqtt.Will(self._availability, _OFFLINE, qos=1, retain=True)
        self._link = Link(broker, will=will, delays=delays)
        self._waiting: deque[EmotionEvent] = deque()
        self._statuses: dict[str, bool] = {}
        self._unsaid: dict[str, bool] = {}
        self._closing = False
        self._changed = asyncio.Condition()
        self._stopped = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Events that the broker has not acknowledged."""
        return len(self._waiting)

    async def run(self) -> None:
        """Publish what is put until closed; while the broker is away, keep trying for ever.

        Cancelled, it drops the connection, and the broker declares the node offline.
        """
        try:
            await self._link.hold(self._session)
        finally:
            self._stopped.set()

    async def put(self, event: EmotionEvent) -> None:
        """Take one event; wait while as many as the limit are unacknowledged."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._closing or self.waiting < self._limit)
            if self._closing:
                raise SinkClosedError("this sink was closed and takes no more events")
            self._waiting.append(event)
            self._changed.notify_all()

    async def status(self, camera: str, online: bool) -> None:
        """Say whether a camera works. While the broker is away only the newest is kept."""
        async with self._changed:
            self._statuses[camera] = self._unsaid[camera] = online
            self._changed.notify_all()

    async def close(self) -> None:
        """Publish all that waits, take leave as offline, and end `run`.

        While the broker is away this waits for it; cancelling gives up what is unpublished.
        """
        async with self._changed:
            self._closing = True
            self._changed.notify_all()
        await self._stopped.wait()

    async def _session(self, client: Client) -> None:
        await client.send(self._availability, _ONLINE, retain=True)
        await client.subscribe(self._availability, qos=1)
        self._unsaid = dict(self._statuses)
        async with asyncio.TaskGroup() as tasks:
            watch = tasks.create_task(self._stay_online(client), name="mqtt availability")
            await self._drain(client)
            await self._take_leave(client)
            watch.cancel()

    async def _stay_online(self, client: Client) -> None:
        """Contradict a late last will of an earlier connection; raise MqttError on a loss."""
        async for message in client.messages:
            if message.payload == _OFFLINE and not self._closing:
                await client.send(self._availability, _ONLINE, retain=True)

    async def _drain(self, client: Client) -> None:
        """Publish until the sink is closed and empty."""
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: self._waiting or self._unsaid or self._closing)
            if not (self._waiting or self._unsaid):
                return
            statuses, self._unsaid = self._unsaid, {}
            batch = list(islice(self._waiting, _BATCH))
            await _send_all(client, map(self._status_message, statuses, statuses.values()))
            await _send_all(client, (*map(self._event_message, batch), *self._states(batch)))
            await self._forget(len(batch))

    async def _forget(self, count: int) -> None:
        async with self._changed:
            for _ in range(count):
                self._waiting.popleft()
            self._changed.notify_all()

    async def _take_leave(self, client: Client) -> None:
        await _send_all(client, [self._status_message(camera, False) for camera in self._statuses])
        await client.send(self._availability, _OFFLINE, retain=True)

    def _status_message(self, camera: str, online: bool) -> _Message:
        topic = self._broker.topic(self._node, camera, "status")
        return _Message(topic, _ONLINE if online else _OFFLINE, retain=True)

    def _event_message(self, event: EmotionEvent) -> _Message:
        topic = self._broker.topic(self._node, event.data.camera, "event")
        return _Message(topic, event.model_dump_json().encode(), content_type=CONTENT_TYPE)

    def _states(self, batch: Iterable[EmotionEvent]) -> Iterator[_Message]:
        """Yield one message for each camera that has a new final event."""
        last = {event.data.camera: event for event in batch if event.data.phase == "final"}
        for camera, event in last.items():
            payload = CameraState.of(event).model_dump_json().encode()
            topic = self._broker.topic(self._node, camera, "state")
            yield _Message(topic, payload, retain=True, content_type="application/json")


async def _send_all(client: Client, messages: Iterable[_Message]) -> None:
    """Send messages in this order and wait until the broker has them all."""
    async with asyncio.TaskGroup() as tasks:
        for m in messages:
            tasks.create_task(
                client.send(m.topic, m.payload, retain=m.retain, content_type=m.content_type)
            )
