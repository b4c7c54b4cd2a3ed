"""Events that wait for a broker's acknowledgement."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, Self

from streamer.event import EmotionEvent
from streamer.spoken import Spoken
from streamer.state import CameraState


class OutboxClosedError(RuntimeError):
    """An event was put into an outbox after it was closed."""

    def __init__(self) -> None:
        super().__init__("this outbox was closed and takes no more events")


@dataclass(frozen=True, slots=True)
class Letter:
    """An event as it is sent, the same bytes each time, and what is said beside it."""

    camera: str
    sequence: int
    event: bytes
    spoken: bytes | None
    """Its words, for the topic `transcript`."""
    state: bytes | None
    """What the camera's state is after it; None where this is to stay as it is."""

    @classmethod
    def of(cls, event: EmotionEvent) -> Self:
        """Write an event as JSON."""
        spoken, final = Spoken.of(event), event.data.phase == "final"
        return cls(
            camera=event.data.camera,
            sequence=int(event.sequence),
            event=event.model_dump_json().encode(),
            spoken=spoken.model_dump_json().encode() if spoken else None,
            state=CameraState.of(event).model_dump_json().encode() if final else None,
        )


class Outbox(Protocol):
    """A bounded queue that an event leaves only some time after it is acknowledged.

    One reader takes events in order; after a loss it rewinds, and takes again what the broker may
    not have.
    """

    lasting: bool
    """Whether events survive the process."""

    @property
    def lost(self) -> Mapping[str, int]:
        """How many events never reach the broker, since the start, by reason."""

    def __len__(self) -> int:
        """Events that are not acknowledged."""

    def next_sequence(self, camera: str) -> int:
        """Return the `sequence` of the next event of a camera."""

    async def put(self, event: EmotionEvent) -> None:
        """Take an event in; raise OutboxClosedError once closed."""

    async def take(self) -> tuple[int, Letter] | None:
        """Wait for the next event and return it with its number; None when closed and through."""

    async def acknowledge(self, number: int) -> None:
        """Note that the broker has an event that was taken."""

    def rewind(self) -> None:
        """Start again from the oldest event that the broker may not have."""

    async def close(self) -> None:
        """Take no more events in."""


class MemoryOutbox:
    """An outbox in memory, for what can be played again: a full one lets its writer wait."""

    lasting = False
    lost: Mapping[str, int] = {}

    def __init__(self, limit: int = 256) -> None:
        self._limit = limit
        self._letters: dict[int, Letter] = {}
        self._put = 0
        self._taken = 0
        self._closed = False
        self._changed = asyncio.Condition()

    def __len__(self) -> int:
        """Events that are not acknowledged."""
        return len(self._letters)

    def next_sequence(self, _camera: str) -> int:
        """Return 0: nothing is remembered."""
        return 0

    async def put(self, event: EmotionEvent) -> None:
        """Take an event in; wait while the outbox is full."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._closed or len(self) < self._limit)
            if self._closed:
                raise OutboxClosedError
            self._letters[self._put] = Letter.of(event)
            self._put += 1
            self._changed.notify_all()

    async def take(self) -> tuple[int, Letter] | None:
        """Wait for the next event and return it with its number; None when closed and through."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._closed or self._taken < self._put)
            if self._taken == self._put:
                return None
            number = self._taken
            self._taken += 1
            return number, self._letters[number]

    async def acknowledge(self, number: int) -> None:
        """Let go of an event that was taken."""
        async with self._changed:
            del self._letters[number]
            self._changed.notify_all()

    def rewind(self) -> None:
        """Start again from the oldest event that was not acknowledged."""
        self._taken = min(self._letters, default=self._put)

    async def close(self) -> None:
        """Take no more events in."""
        async with self._changed:
            self._closed = True
            self._changed.notify_all()
