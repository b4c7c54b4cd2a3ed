"""Events that wait for a broker's acknowledgement."""

import asyncio

from streamer.event import EmotionEvent


class OutboxClosedError(RuntimeError):
    """An event was put into an outbox after it was closed."""


class Outbox:
    """A bounded queue in memory that an event leaves only when it is acknowledged.

    One reader takes events in order; after a loss it rewinds, and takes again what was not
    acknowledged.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._events: dict[int, EmotionEvent] = {}
        self._put = 0
        self._taken = 0
        self._closed = False
        self._changed = asyncio.Condition()

    def __len__(self) -> int:
        """Events that are not acknowledged."""
        return len(self._events)

    async def put(self, event: EmotionEvent) -> None:
        """Take an event in; wait while the outbox is full."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._closed or len(self) < self._limit)
            if self._closed:
                raise OutboxClosedError("this outbox was closed and takes no more events")
            self._events[self._put] = event
            self._put += 1
            self._changed.notify_all()

    async def take(self) -> tuple[int, EmotionEvent] | None:
        """Wait for the next event and return it with its number; None when closed and through."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._closed or self._taken < self._put)
            if self._taken == self._put:
                return None
            number = self._taken
            self._taken += 1
            return number, self._events[number]

    async def acknowledge(self, number: int) -> None:
        """Let go of an event that was taken."""
        async with self._changed:
            del self._events[number]
            self._changed.notify_all()

    def rewind(self) -> None:
        """Start again from the oldest event that was not acknowledged."""
        self._taken = min(self._events, default=self._put)

    async def close(self) -> None:
        """Take no more events in."""
        async with self._changed:
            self._closed = True
            self._changed.notify_all()
