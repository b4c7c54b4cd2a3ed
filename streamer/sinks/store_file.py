"""The store's file: events that may be asked for later, in SQLite. Blocking; one thread."""

import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from errno import EACCES, ENOTDIR
from functools import partial
from os import W_OK, X_OK, access, strerror
from pathlib import Path
from typing import Final, Self

import structlog

from engines.errors import CredenceError
from streamer.event import EmotionEvent
from streamer.sinks.packing import dictionary, pack
from streamer.sinks.sqlite_file import DamagedError, code, connected, make, move_aside

_VERSION: Final = 1
# `number` is when an event was stored, in microseconds since 1970, and counts up: the oldest are
# found without an index. `by_time` holds all that can be asked for, in the order of the answer.
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY,
    source TEXT NOT NULL, id TEXT NOT NULL,
    time_us INTEGER NOT NULL, camera TEXT NOT NULL, sequence INTEGER NOT NULL,
    phase TEXT NOT NULL, emotion TEXT, trusted INTEGER NOT NULL,
    event BLOB NOT NULL,
    UNIQUE (source, id)
);
CREATE INDEX IF NOT EXISTS by_time
    ON events (time_us, camera, sequence, number, phase, emotion, trusted);
CREATE TABLE IF NOT EXISTS dictionary (bytes BLOB NOT NULL);
"""
_NEWEST: Final = "SELECT coalesce(max(number), 0) FROM events"
_PUT: Final = """
INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (source, id) DO NOTHING
"""
_DROP: Final = """
DELETE FROM events
WHERE number IN (SELECT number FROM events WHERE number < ? ORDER BY number LIMIT ?)
"""
_DROPPED_AT_ONCE: Final = 500
_PATIENCE_S: Final = 5.0
"""How long another process, such as a replay into the same file, may write."""
_WAL_BYTES: Final = 16_000_000
_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_US_PER_S: Final = 1_000_000
_ANY: Final = (1 << 63) - 1
_PASSING: Final = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY)

log = structlog.get_logger()


class StoreError(CredenceError):
    """Events cannot be stored, or what was stored cannot be read."""

    def __init__(self, path: Path, problem: str, *, passing: bool = False) -> None:
        super().__init__(f"{path}: {problem}")
        self.path, self.problem, self.passing = path, problem, passing


@dataclass(frozen=True, slots=True)
class Keep:
    """How long events are stored, and how many bytes of them."""

    age_s: float
    largest_bytes: int


@dataclass(frozen=True, slots=True)
class Dropped:
    """How many stored events were deleted, by reason."""

    age: int = 0
    size: int = 0


def microseconds(time: datetime) -> int:
    """Return a time as it stands in the file: microseconds since 1970."""
    return (time - _EPOCH) // timedelta(microseconds=1)


class StoreFile:
    """One file, which other processes may read, and write, meanwhile.

    Times of storing are seconds since 1970. They never go back in a file: events that come while
    the clock is behind count as stored with the newest.
    """

    def __init__(self, path: Path, keep: Keep, *, thorough: bool = False) -> None:
        self.path, self._keep = path, keep
        self._db = connected(path, _PATIENCE_S, partial(_prepare, path, thorough))
        self._file = _identity(path)
        self._dictionary: bytes | None = None

    @classmethod
    def open(cls, path: Path, keep: Keep, *, thorough: bool = False) -> Self:
        """Open a file, or make it; one that is damaged is moved aside. Raises StoreError.

        Damage within is found where ``thorough``, by reading all of it, or when it is written.
        """
        try:
            make(path)
            with suppress(DamagedError):
                return cls(path, keep, thorough=thorough)
            _begin_another(path)
            return cls(path, keep)
        except (OSError, sqlite3.Error, DamagedError) as error:
            raise _refusal(path, error) from error

    @classmethod
    def probe(cls, path: Path) -> None:
        """Try whether a file can be opened, or made; leave all as it is. Raises StoreError."""
        try:
            if path.exists():
                cls(path, Keep(0, 0)).close()
                return
            folder = next(each for each in path.parents if each.exists())
            if not folder.is_dir():
                raise NotADirectoryError(ENOTDIR, strerror(ENOTDIR))
            if not access(folder, W_OK | X_OK):
                raise PermissionError(EACCES, strerror(EACCES))
        except DamagedError:
            raise StoreError(path, "it is damaged; the next start moves it aside") from None
        except (OSError, sqlite3.Error) as error:
            raise _refusal(path, error) from error

    @property
    def gone(self) -> bool:
        """Whether it was deleted, or moved, under its name."""
        return _identity(self.path) != self._file

    def write(self, events: Sequence[EmotionEvent], now_s: float) -> Dropped:
        """Store events, each (source, id) once, and drop a few of what is too old or too much.

        All is done or, where this raises sqlite3.Error, nothing.
        """
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._put(events, round(now_s * _US_PER_S))
            dropped = self._drop(round((now_s - self._keep.age_s) * _US_PER_S))
            self._db.execute("COMMIT")
        except sqlite3.Error:
            self._dictionary = None
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        return dropped

    def close(self) -> None:
        """Close the file."""
        with suppress(sqlite3.Error):
            self._db.close()

    def _put(self, events: Sequence[EmotionEvent], now_us: int) -> None:
        if not events:
            return
        words = self._words(events[0])
        (newest,) = self._db.execute(_NEWEST).fetchone()
        numbers = range(max(newest + 1, now_us), _ANY)
        rows = (_row(*each, words) for each in zip(numbers, events, strict=False))
        self._db.executemany(_PUT, rows)

    def _words(self, like: EmotionEvent) -> bytes:
        """Return the dictionary of the file, which the first event of all gives it."""
        if self._dictionary is None:
            found = self._db.execute("SELECT bytes FROM dictionary").fetchone()
            if found is None:
                found = (dictionary(like),)
                self._db.execute("INSERT INTO dictionary VALUES (?)", found)
            (self._dictionary,) = found
        return self._dictionary

    def _drop(self, before_us: int) -> Dropped:
        """Delete the oldest events: those that are too old, else some while there are too many."""
        if aged := self._db.execute(_DROP, (before_us, _DROPPED_AT_ONCE)).rowcount:
            return Dropped(age=aged)
        if self._bytes() <= self._keep.largest_bytes:
            return Dropped()
        return Dropped(size=self._db.execute(_DROP, (_ANY, _DROPPED_AT_ONCE)).rowcount)

    def _bytes(self) -> int:
        """Return how much of the file is in use."""
        pragmas = ("page_count", "freelist_count", "page_size")
        pages, free, size = (self._db.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas)
        return int((pages - free) * size)


def _refusal(path: Path, error: Exception) -> StoreError:
    """Return in a sentence why a store cannot be written."""
    passing = isinstance(error, sqlite3.Error) and code(error) in _PASSING
    problem = ((error.strerror if isinstance(error, OSError) else None) or str(error)).lower()
    remedy = "see to the disk" if passing else "name another store.path"
    return StoreError(path, f"no events can be stored there ({problem}); {remedy}", passing=passing)


def _prepare(path: Path, thorough: bool, db: sqlite3.Connection) -> None:
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")  # a power cut may take the last second
    db.execute("PRAGMA secure_delete = ON")  # what is past its time is gone from the disk
    db.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > _VERSION:
        raise StoreError(path, "the store is a later version's; name another store.path")
    if thorough and (found := db.execute("PRAGMA integrity_check(1)").fetchone()) != ("ok",):
        raise DamagedError(found)
    db.executescript(_SCHEMA)
    if version < _VERSION:
        db.execute(f"PRAGMA user_version = {_VERSION}")
    db.execute("BEGIN IMMEDIATE")  # which a file that cannot be written refuses
    db.execute("COMMIT")
    db.execute("SELECT number, bytes FROM events INDEXED BY by_time, dictionary LIMIT 0")


def _begin_another(path: Path) -> None:
    aside = move_aside(path)
    make(path)
    log.warning(
        f"{path}: the store is damaged and was moved to {aside.name}; a new one is begun, and "
        "`credence events` shows what comes from now on"
    )


def _identity(path: Path) -> tuple[int, int] | None:
    with suppress(OSError):
        found = path.stat()
        return found.st_dev, found.st_ino
    return None


def _row(number: int, event: EmotionEvent, words: bytes) -> tuple[object, ...]:
    data = event.data
    return (
        number,
        event.source,
        event.id,
        microseconds(event.time),
        data.camera,
        int(event.sequence),
        data.phase,
        data.emotion,
        data.trusted,
        pack(event.model_dump_json().encode(), words),
    )
