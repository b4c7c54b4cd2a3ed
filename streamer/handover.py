"""Blocking iteration on a thread of its own, made asynchronous. Cancelling frees the thread."""

import asyncio
import math
import queue
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, Self, TypeVar

from streamer.threads import NativeThread

T = TypeVar("T")


class _Stopped(Exception):  # noqa: N818 - a signal to the thread, not an error
    """Nobody listens any more."""


@dataclass(frozen=True, slots=True)
class _End:
    error: BaseException | None


class Handover(Generic[T]):
    """Runs a blocking iterator in a daemon thread and hands its items to the event loop.

    At most ``depth`` items wait. The thread then blocks and nothing is dropped; or, where
    ``droppable`` is given, it goes on and the oldest item of which that is true makes room, as do
    those that have waited for longer than ``longest_s`` while newer ones wait, and ``drops`` is
    called; of others twice as many may wait. An error of the iterator is raised to who iterates.
    Use as an asynchronous context manager: leaving it tells the thread to stop, and does not wait
    for a read that blocks.
    """

    def __init__(
        self,
        blocking: Callable[[threading.Event], Iterator[T]],
        *,
        name: str,
        depth: int = 64,
        longest_s: float = math.inf,
        droppable: Callable[[T], bool] | None = None,
        drops: Callable[[], None] = lambda: None,
    ) -> None:
        self._blocking, self._depth, self._longest_s = blocking, depth, longest_s
        self._droppable, self._drops = droppable, drops
        self._stop = threading.Event()
        self._tickets: queue.SimpleQueue[None] = queue.SimpleQueue()
        for _ in range(depth):
            self._tickets.put(None)
        self._items: deque[tuple[T | _End, float]] = deque()  # each with when it was handed over
        self._some = asyncio.Event()
        self._thread = NativeThread(self._run, name)
        self.handed = 0
        """Items that have come from the iterator."""
        self.dropped = 0
        """Those that made room for newer ones."""
        self.waited_s = 0.0
        """How long the item that was taken last had waited."""

    @property
    def waiting(self) -> int:
        """Items that nobody has taken yet."""
        return len(self._items)

    def end(self) -> None:
        """Stop the thread and end the iteration at once, also while a read blocks.

        What waits is dropped, uncounted.
        """
        self._stop.set()
        self._tickets.put(None)
        self._items.clear()
        self._add(_End(None), time.monotonic())

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._thread.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._tickets.put(None)

    async def __aiter__(self) -> AsyncIterator[T]:
        while True:
            while not self._items:
                self._some.clear()
                await self._some.wait()
            item, came_s = self._next()
            self.waited_s = time.monotonic() - came_s
            if isinstance(item, _End):
                error = item.error
                del item  # an error that is held in its own traceback keeps all that it saw alive
                if error is None:
                    return
                try:
                    raise error
                finally:
                    del error
            if not self._droppable:
                self._tickets.put(None)
            yield item

    def _run(self) -> None:
        end = _End(None)
        try:
            for item in self._blocking(self._stop):
                if not self._droppable:
                    self._tickets.get()
                self._hand(item)
        except _Stopped:
            return
        except BaseException as error:  # raised again where it is awaited
            end = _End(error)
        with suppress(_Stopped):
            self._hand(end)
        del end  # see __aiter__

    def _hand(self, item: T | _End) -> None:
        if self._stop.is_set():
            raise _Stopped
        try:
            self._loop.call_soon_threadsafe(self._add, item, time.monotonic())
        except RuntimeError as error:  # the loop is closed
            raise _Stopped from error

    def _add(self, item: T | _End, came_s: float) -> None:
        self.handed += not isinstance(item, _End)
        if self._droppable and not isinstance(item, _End) and len(self._items) >= self._depth:
            self._drop_oldest(self._droppable)
        self._items.append((item, came_s))
        self._some.set()

    def _next(self) -> tuple[T | _End, float]:
        """Take the oldest item that is not too old."""
        while True:
            item, came_s = self._items.popleft()
            ends = isinstance(item, _End) or not self._droppable or not self._droppable(item)
            if ends or time.monotonic() - came_s <= self._longest_s or not self._items:
                return item, came_s
            self._count()

    def _drop_oldest(self, droppable: Callable[[T], bool]) -> None:
        for at, (item, _) in enumerate(self._items):
            if not isinstance(item, _End) and droppable(item):
                del self._items[at]
                self._count()
                return
        if len(self._items) >= 2 * self._depth:  # nothing lies between them: the newest tells all
            self._items.popleft()

    def _count(self) -> None:
        self.dropped += 1
        self._drops()
