"""`credence watch`: what a broker's cameras say, each event once, to whatever shows it."""

import hashlib
from collections.abc import Callable, Hashable, Iterator
from typing import Final, Protocol

from aiomqtt import Message
from pydantic import ValidationError

from streamer.broker import KEPT_S, Broker, Client
from streamer.event import EmotionEvent
from streamer.link import Link, Place, backoff
from streamer.looks import printable

_REMEMBERED: Final = 4096


class View(Protocol):
    """Shows what comes. Names and states can be printed as they are; notices may hold anything."""

    def event(self, name: str, event: EmotionEvent, payload: bytes) -> None:
        """Show an event of the camera ``name``, which is node/camera, that came as ``payload``."""

    def presence(self, node: str, camera: str | None, state: str) -> None:
        """Show what a camera, or where that is None a node, now says of itself."""

    def note(self, text: str) -> None:
        """Show a notice."""


async def watch(
    broker: Broker,
    view: View,
    *,
    node: str = "+",
    camera: str = "+",
    since: str | None = None,
    delays: Callable[[], Iterator[float]] = backoff,
) -> None:
    """Show every event of the node and camera until cancelled; `+` is any.

    With ``since``, a name, begin with those that came since this was last called by that name for
    the same cameras; events shown are acknowledged, and so come once.
    """
    inbox = Inbox(broker.prefix, view)
    place = (
        Place(_identifier(since, broker.prefix, node, camera), KEPT_S)
        if since is not None
        else None
    )

    async def session(client: Client) -> None:
        if since is not None and not client.has_place:
            view.note(f"the broker keeps no place for {printable(since)} yet; it does from now on")
        # Not kept for who is away: what was is told anew by what is retained.
        presence = broker.topic(node, "availability"), broker.topic(node, camera, "status")
        await client.listen(*presence, qos=0)
        await client.listen(broker.topic(node, camera, "event"))
        async for message in client.received():
            inbox.take(message)

    try:
        await Link(broker, place=place, delays=delays).hold(session)
    finally:
        inbox.sum_up()


def _identifier(*parts: str) -> str:
    """Return the name of a place: another one for other cameras, as a place has its topics."""
    return f"credence{hashlib.sha256('/'.join(parts).encode()).hexdigest()[:15]}"


class Inbox:
    """Turns messages into what a view shows. What is malformed is counted and said once."""

    def __init__(self, prefix: str, view: View) -> None:
        self._prefix, self._view = prefix, view
        self._seen = Recent(_REMEMBERED)
        self._present: dict[tuple[str, str | None], str] = {}
        self.malformed = 0

    def take(self, message: Message) -> None:
        """Show one message, unless it says nothing new."""
        topic = printable(message.topic.value.removeprefix(f"{self._prefix}/"))
        match topic.split("/"):
            case [node, "availability"]:
                self._take_presence(node, None, message.payload)
            case [node, camera, "status"]:
                self._take_presence(node, camera, message.payload)
            case [node, camera, "event"]:
                self._take_event(f"{node}/{camera}", message.payload)

    def sum_up(self) -> None:
        """Say how many messages were left out, where it was more than the one complained of."""
        if self.malformed > 1:
            said = f"{self.malformed} messages that were no emotion events were left out"
            self._view.note(said)

    def _take_event(self, name: str, payload: bytes) -> None:
        try:
            event = EmotionEvent.model_validate_json(payload)
        except ValidationError as error:
            self._count_malformed(name, error)
            return
        if self._seen.is_new((event.source, event.id)):
            self._view.event(name, event, payload)

    def _take_presence(self, node: str, camera: str | None, payload: bytes) -> None:
        state = printable(payload.decode(errors="replace"))
        if not state and (node, camera) in self._present:
            state = "removed"
        if state and self._present.get((node, camera)) != state:
            self._present[node, camera] = state
            self._view.presence(node, camera, state)

    def _count_malformed(self, name: str, error: ValidationError) -> None:
        self.malformed += 1
        if self.malformed == 1:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "payload"
            self._view.note(
                f"{name} sent something that is no emotion event "
                f"({where}: {first['msg']}); left out, and so will be others"
            )


class Recent:
    """Remembers the latest keys, as many as its size."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._keys: dict[Hashable, None] = {}

    def is_new(self, key: Hashable) -> bool:
        """Tell whether the key is new, and remember it."""
        if key in self._keys:
            return False
        self._keys[key] = None
        if len(self._keys) > self._size:
            del self._keys[next(iter(self._keys))]
        return True
