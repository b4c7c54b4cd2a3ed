"""Where events are kept for `credence events`, on a thread of its own: nobody waits for it."""

import queue
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import structlog

from streamer.event import EmotionEvent
from streamer.sinks.sqlite_file import DAMAGED, code
from streamer.sinks.store_file import Dropped, Keep, StoreError, StoreFile
from streamer.threads import NativeThread

_GATHER_S: Final = 1.0
"""One transaction holds what came within so long."""
_TOGETHER: Final = 1000
_WAITING: Final = 8192
"""So many events are held for a slow disk, about 20 MB."""
_SWEEP_S: Final = 60.0
"""While nothing comes, old events are looked for so often."""
_LEAVE_S: Final = 1.0
"""How long the end waits for the disk."""

log = structlog.get_logger()


class Store:
    """Keeps events in a file, as a context manager. Whatever is wrong with it stops nobody."""

    lost: Mapping[str, int]
    """`unwritable`: not stored, as the disk refused; `behind`: not stored, as it was too slow;
    `size`: deleted before their time, as there were too many."""

    def __init__(self, path: Path, keep: Keep, now: Callable[[], float]) -> None:
        self.lost = self._lost = Counter({"unwritable": 0, "behind": 0, "size": 0})
        self._path, self._keep, self._now = path, keep, now
        self._file: StoreFile | None = None
        self._coming: queue.SimpleQueue[EmotionEvent | None] = queue.SimpleQueue()
        self._thread = NativeThread(self._run, "store")
        self._told: set[str] = set()

    @classmethod
    def open(cls, path: Path, keep: Keep, now: Callable[[], float] = time.time) -> Self:
        """Open a file, or make it. Blocks.

        Raises StoreError where another path must be named; what may pass, as a full disk, is waited
        for.
        """
        store = cls(path, keep, now)
        try:
            store._file = StoreFile.open(path, keep)
        except StoreError as error:
            if not error.passing:
                raise
        return store

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._coming.put(None)
        self._thread.join(_LEAVE_S)
        if self._thread.is_alive():
            log.warning("the disk is too slow, the last events may not be stored")

    def put(self, event: EmotionEvent) -> None:
        """Take an event, to be stored within a second or so. Never waits, never raises."""
        if self._coming.qsize() >= _WAITING:
            self._lost["behind"] += 1
            self._tell("behind", "the disk is too slow, events are not stored")
        else:
            self._coming.put(event)

    def _run(self) -> None:
        going, more = True, True
        while going:
            events, going = self._gathered(0.0 if more else _SWEEP_S)
            more = self._kept(events)
        if self._file:
            self._file.close()

    def _gathered(self, wait_s: float) -> tuple[list[EmotionEvent], bool]:
        """Return what has come, and whether more can."""
        events: list[EmotionEvent] = []
        try:
            coming = self._coming.get(timeout=wait_s)
            until_s = time.monotonic() + _GATHER_S
            while coming:
                events.append(coming)
                if len(events) == _TOGETHER:
                    return events, True
                coming = self._coming.get(timeout=max(0.0, until_s - time.monotonic()))
        except queue.Empty:
            return events, True
        return events, False

    def _kept(self, events: Sequence[EmotionEvent]) -> bool:
        """Store events; return whether there is more to be dropped."""
        try:
            dropped = self._written(events)
        except (sqlite3.Error, StoreError) as error:
            self._lost["unwritable"] += len(events)
            problem = error.problem if isinstance(error, StoreError) else str(error)
            self._tell("disk", f"events are not stored, all else goes on ({problem})")
            return False
        if events and self._told & {"disk", "behind"}:
            self._told -= {"disk", "behind"}
            missed = self.lost["unwritable"] + self.lost["behind"]
            log.warning("events are stored again", missed=missed)
        self._lost["size"] += dropped.size
        if dropped.size:
            self._tell("size", "the store is full, its oldest events are deleted before their time")
        return bool(dropped.age or dropped.size)

    def _written(self, events: Sequence[EmotionEvent]) -> Dropped:
        if self._file and self._file.gone:  # who deletes it wants a new one
            self._close()
        try:
            return self._opened().write(events, self._now())
        except sqlite3.Error as error:
            if code(error) not in DAMAGED:
                raise
        self._close()
        return self._opened(thorough=True).write(events, self._now())

    def _opened(self, *, thorough: bool = False) -> StoreFile:
        if self._file is None:
            self._file = StoreFile.open(self._path, self._keep, thorough=thorough)
        return self._file

    def _close(self) -> None:
        if self._file:
            self._file.close()
        self._file = None

    def _tell(self, what: str, sentence: str) -> None:
        """Warn once for each trouble."""
        if what not in self._told:
            self._told.add(what)
            log.warning(sentence, file=str(self._path))
