"""Events that wait for a broker on disk, and survive whatever ends the process."""

import asyncio
import sqlite3
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import structlog

from streamer.event import EmotionEvent
from streamer.sinks.outbox import Letter, OutboxClosedError
from streamer.sinks.spool_store import Bounds, Dropped, SpoolStore
from streamer.worker import Worker

_LEAVE_S: Final = 1.0
"""How long the end waits for the disk."""

log = structlog.get_logger()


class Spool:
    """An outbox on disk: what `put` accepted is sent until the broker has acknowledged it.

    A broker does so from memory: after a loss, what it acknowledged lately is sent again.
    While the file cannot be written, new events are refused and counted; nobody waits for room.
    """

    lasting = True
    lost: Mapping[str, int]
    """`size` and `age`: given up, the oldest first; `unwritable`: refused by the disk."""

    def __init__(self, store: SpoolStore, now: Callable[[], float] = time.monotonic) -> None:
        self.lost = self._lost = Counter({"size": 0, "age": 0, "unwritable": 0})
        self._store, self._now = store, now
        self._began_s = now() - store.newest_s
        self._worker = Worker("spool")
        self._waiting: list[Letter] = []
        self._acknowledged: list[int] = []
        self._turn = asyncio.Lock()
        self._ready: deque[tuple[int, Letter]] = deque()
        self._taken = 0
        self._closed = False
        self._changed = asyncio.Event()
        self._told: set[str] = set()

    @classmethod
    def open(cls, path: Path, bounds: Bounds) -> Self:
        """Open a file, or make it; raise SpoolError. Blocks."""
        return cls(SpoolStore.open(path, bounds))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if self._worker.finished(_LEAVE_S):
            self._store.close()

    def __len__(self) -> int:
        """Events that are not acknowledged."""
        return self._store.waiting

    def next_sequence(self, camera: str) -> int:
        """Return the number after the last event of a camera that was accepted, ever."""
        return self._store.next_sequence(camera)

    async def put(self, event: EmotionEvent) -> None:
        """Return when the event is on the disk, or was refused."""
        if self._closed:
            raise OutboxClosedError
        self._waiting.append(Letter.of(event))
        await self._written()

    async def take(self) -> tuple[int, Letter] | None:
        """Wait for the next event and return it with its number; None when closed and through."""
        while not self._ready:
            self._changed.clear()
            self._ready.extend(await self._read())
            if not self._ready:
                if self._closed:
                    return None
                await self._changed.wait()
        self._taken, _ = taken = self._ready.popleft()
        return taken

    async def acknowledge(self, number: int) -> None:
        """Note that the broker has an event that was taken."""
        self._acknowledged.append(number)
        await self._written()

    def rewind(self) -> None:
        """Start again from the oldest event that the broker may not have."""
        self._ready.clear()
        self._taken = 0

    async def close(self) -> None:
        """Take no more events in."""
        self._closed = True
        self._changed.set()

    async def _written(self) -> None:
        # Whoever comes first writes for all who came meanwhile: one wait for the disk.
        async with self._turn:
            if self._waiting or self._acknowledged:
                letters, self._waiting = self._waiting, []
                acknowledged, self._acknowledged = self._acknowledged, []
                await self._write(letters, acknowledged)

    async def _write(self, letters: Sequence[Letter], acknowledged: Sequence[int]) -> None:
        try:
            now_s = self._now() - self._began_s
            dropped = await self._worker.run(self._store.write, letters, acknowledged, now_s)
        except sqlite3.Error as error:
            self._lost["unwritable"] += len(letters)
            self._acknowledged[:0] = acknowledged  # to be noted later
            self._tell("disk", f"events are refused, the spool cannot be written ({error})")
            return
        finally:  # a reader's turn comes after this write, even where nobody waits for it any more
            self._changed.set()
        if letters and "disk" in self._told:
            self._told.discard("disk")
            log.warning("the spool can be written again", refused=self.lost["unwritable"])
        self._count(dropped)

    async def _read(self) -> Sequence[tuple[int, Letter]]:
        try:
            return await self._worker.run(self._store.after, self._taken)
        except sqlite3.Error as error:
            self._tell("read", f"the spool cannot be read ({error}); start again to mend it")
            return ()

    def _count(self, dropped: Dropped) -> None:
        self._lost["size"] += dropped.size
        self._lost["age"] += dropped.age
        if dropped.size:
            self._tell("size", "the spool is full, its oldest events are given up")
        if dropped.age:
            self._tell("age", "events that waited longer than spool.oldest_h are given up")
        if not len(self):
            self._told -= {"size", "age"}

    def _tell(self, what: str, sentence: str) -> None:
        """Warn once for each outage."""
        if what not in self._told:
            self._told.add(what)
            log.warning(sentence, file=str(self._store.path))
