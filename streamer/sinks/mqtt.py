"""Events to an MQTT broker. `docs/mqtt.md` is for readers."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Final

import aiomqtt
import structlog

from streamer.broker import IN_FLIGHT, Broker, Client, RefusedError
from streamer.event import EmotionEvent
from streamer.link import Link, backoff
from streamer.sinks.home_assistant import HomeAssistant, TrustedEvent
from streamer.sinks.inbox import Command, Inbox
from streamer.sinks.newest import Newest
from streamer.sinks.outbox import Letter, MemoryOutbox, Outbox
from streamer.spoken import Spoken
from streamer.topics import (
    AVAILABILITY,
    DISCOVERY,
    ENABLED,
    EVENT,
    STATE,
    STATUS,
    TRANSCRIPT,
    TRUSTED,
    Retained,
    StatusFacts,
    Topic,
)

_ONLINE: Final = b"online"
_OFFLINE: Final = b"offline"
_ON_THEIR_WAY: Final = 4 * IN_FLIGHT
"""Events that are taken from the outbox and not yet acknowledged."""

log = structlog.get_logger()


class MqttSink:
    """Publishes events, camera by camera in order, each at least once.

    `run` does the work and must be running, or about to, wherever another method waits. Events
    wait in the outbox, in memory unless one is given, until the broker has acknowledged them.
    """

    def __init__(
        self,
        broker: Broker,
        node: str,
        outbox: Outbox | None = None,
        *,
        delays: Callable[[], Iterator[float]] = backoff,
        home: HomeAssistant | None = None,
    ) -> None:
        self.broker = broker
        self._node, self._home = node, home
        self._availability = broker.topic(node, "availability")
        will = aiomqtt.Will(self._availability, _OFFLINE, qos=1, retain=True)
        self._link = Link(broker, will=will, delays=delays)
        self._outbox = MemoryOutbox() if outbox is None else outbox
        self._cameras: set[str] = set()
        self._gone: set[str] = set()
        self._retained: dict[str, Retained] = {}
        self._unsaid: dict[str, None] = {}
        self._told_home: dict[str, int] = {}
        self._partials: dict[str, Spoken] = {}
        self._inbox = Inbox()
        self._once = Newest()
        self._something_to_say = asyncio.Event()
        self._closing = False
        self._stopped = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Events that the broker has not acknowledged."""
        return len(self._outbox)

    @property
    def lasting(self) -> bool:
        """Whether events that wait survive the process."""
        return self._outbox.lasting

    @property
    def lost(self) -> Mapping[str, int]:
        """How many events never reach the broker, since the start, by reason."""
        return self._outbox.lost

    def next_sequence(self, camera: str) -> int:
        """Return the `sequence` of the next event of a camera."""
        return self._outbox.next_sequence(camera)

    @property
    def connected(self) -> bool:
        """Whether the broker is there."""
        return self._link.connected

    async def run(self) -> None:
        """Publish what is put until closed; while the broker is away, keep trying for ever.

        Cancelled, it drops the connection, and the broker declares the node offline.
        """
        try:
            await self._link.hold(self._session)
        finally:
            self._stopped.set()

    async def put(self, event: EmotionEvent) -> None:
        """Take one event, as the outbox does."""
        await self._outbox.put(event)

    def partial(self, spoken: Spoken) -> None:
        """Take what is being said: published at once, or replaced by what is newer, or never."""
        self._partials[spoken.camera] = spoken
        self._something_to_say.set()

    async def status(
        self, camera: str, online: bool, why: str = "", facts: StatusFacts | None = None
    ) -> None:
        """Say whether a camera works, and what is wrong with it, in one sentence.

        Without ``facts`` it streams since now, or has ended. Only the newest waits for a broker.
        """
        self._cameras.add(camera)
        said = (_ONLINE if online else _OFFLINE) + (f": {why}".encode() if why else b"")
        topic = self.broker.topic(self._node, camera, "status")
        before = self._retained.get(topic)
        if facts or before is None or before.payload != said:
            facts = facts or StatusFacts.of("streaming" if online else "ended")
            self._keep(topic, Retained(said, STATUS, facts.pairs()))

    def enlist(self, camera: str, enabled: bool) -> None:
        """Say that there is a camera, and whether it is enabled."""
        self._gone.discard(camera)
        self._retain(camera, "enabled", b"ON" if enabled else b"OFF", ENABLED)
        if self._home:
            self._announce(self._home.add(camera))

    def forget(self, camera: str) -> None:
        """Take back what is retained of a camera that is no more."""
        self._cameras.discard(camera)
        self._gone.add(camera)
        for leaf, of in (("status", STATUS), ("state", STATE), ("enabled", ENABLED)):
            self._retain(camera, leaf, b"", of)
        if self._home:
            self._announce(self._home.remove(camera))

    def retain(self, payload: bytes, of: Topic) -> None:
        """Keep JSON on a topic of the node itself; while the broker is away only the newest."""
        self._keep(self.broker.topic(self._node, of.name), Retained(payload, of))

    def commands(self, *levels: str) -> "asyncio.Queue[Command]":
        """Return where the messages on a topic of this node will be put; before `run`.

        A level may be `+`, which is any.
        """
        return self._inbox.of(self.broker.topic(self._node, *levels))

    def once(self, payload: bytes, of: Topic, *levels: str) -> None:
        """Publish JSON once on a topic of this node. Only the newest wait for a broker."""
        self._once.put(self.broker.topic(self._node, *levels), payload, of.delivery)
        self._something_to_say.set()

    async def close(self) -> None:
        """Publish all that waits, take leave as offline, and end `run`.

        While the broker is away this waits for it; cancelling gives up what is unpublished.
        """
        self._closing = True
        await self._outbox.close()
        await self._stopped.wait()

    async def _session(self, client: Client) -> None:
        await client.send(self._availability, _ONLINE, AVAILABILITY.delivery)
        await client.subscribe(self._availability, qos=1)
        await self._listen(client)
        self._outbox.rewind()
        self._partials.clear()  # what was being said while the broker was away
        self._say_again(self._retained)  # a broker that was restarted may have forgotten it
        async with asyncio.TaskGroup() as tasks:
            watch = tasks.create_task(self._stay_online(client), name="mqtt availability")
            talk = tasks.create_task(self._say_newest(client), name="mqtt newest")
            await self._send_events(client)
            talk.cancel()
            await self._take_leave(client)
            watch.cancel()

    async def _listen(self, client: Client) -> None:
        for topic in (*self._inbox.topics, *(self._home.filters if self._home else ())):
            try:
                await client.listen(topic)
            except RefusedError as error:
                log.warning(f"nothing comes by the broker: {error}")

    async def _stay_online(self, client: Client) -> None:
        """Contradict a late last will of an earlier connection; raise MqttError on a loss.

        Also passes commands on.
        """
        async for message in client.messages:
            topic = str(message.topic)
            if self._inbox.take(message):
                continue
            if topic != self._availability and self._home:
                self._announce(self._home.answer(topic, message.payload, message.retain))
            elif message.payload == _OFFLINE and not self._closing:
                await client.send(self._availability, _ONLINE, AVAILABILITY.delivery)

    async def _send_events(self, client: Client) -> None:
        """Keep events in flight until the sink is closed and all are acknowledged."""
        room = asyncio.Semaphore(_ON_THEIR_WAY)  # else all that waits on disk would be in memory
        async with asyncio.TaskGroup() as tasks:
            while await room.acquire() and (taken := await self._outbox.take()):
                task = tasks.create_task(self._deliver(client, *taken), name="mqtt event")
                task.add_done_callback(lambda _: room.release())

    async def _deliver(self, client: Client, number: int, letter: Letter) -> None:
        topic = self.broker.topic(self._node, letter.camera, "event")
        await client.send(topic, letter.event, EVENT.delivery)
        if self._home:
            await self._tell_home(client, letter)
        if letter.spoken:
            self._partials.pop(letter.camera, None)
            await self._send_spoken(client, letter.camera, letter.spoken)
        await self._outbox.acknowledge(number)
        if letter.state and letter.camera not in self._gone:
            self._retain(letter.camera, "state", letter.state, STATE)

    async def _tell_home(self, client: Client, letter: Letter) -> None:
        if not letter.state or letter.sequence <= self._told_home.get(letter.camera, -1):
            return  # an event sent again is no reason to act again
        if told := TrustedEvent.read(letter.event, datetime.now(UTC)):
            topic = self.broker.topic(self._node, letter.camera, "home_assistant")
            await client.send(topic, told.model_dump_json().encode(), TRUSTED.delivery)
            self._told_home[letter.camera] = letter.sequence

    async def _send_spoken(self, client: Client, camera: str, spoken: bytes) -> None:
        topic = self.broker.topic(self._node, camera, "transcript")
        await client.send(topic, spoken, TRANSCRIPT.delivery)

    def _retain(self, camera: str, leaf: str, payload: bytes, of: Topic) -> None:
        self._keep(self.broker.topic(self._node, camera, leaf), Retained(payload, of))

    def _keep(self, topic: str, message: Retained) -> None:
        if self._retained.get(topic) == message:
            return
        self._retained[topic] = message
        self._say_again([topic])

    def _announce(self, devices: Mapping[str, bytes]) -> None:
        self._retained |= {t: Retained(payload, DISCOVERY) for t, payload in devices.items()}
        self._say_again(devices)

    def _say_again(self, topics: Iterable[str]) -> None:
        self._unsaid.update(dict.fromkeys(topics))
        self._something_to_say.set()

    async def _say_newest(self, client: Client) -> None:
        """Publish what is newest on each topic; what is replaced before its turn is not sent."""
        while True:
            await self._something_to_say.wait()
            self._something_to_say.clear()
            await self._say(client)
            await self._once.send(client)
            while self._partials:
                camera, spoken = self._partials.popitem()
                await self._send_spoken(client, camera, spoken.model_dump_json().encode())

    async def _say(self, client: Client) -> None:
        while self._unsaid:
            topic = next(iter(self._unsaid))
            said = self._retained[topic]
            await client.send(topic, said.payload, said.of.delivery, said.facts)
            del self._unsaid[topic]
            if self._retained[topic] is not said:
                self._say_again([topic])

    async def _take_leave(self, client: Client) -> None:
        for camera in self._cameras:
            await self.status(camera, online=False)
        await self._once.send(client)
        await self._say(client)
        await client.send(self._availability, _OFFLINE, AVAILABILITY.delivery)
