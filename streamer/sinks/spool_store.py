"""The spool's file: events in the order in which they came, in SQLite. Blocking; one thread."""

import sqlite3
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Self

import structlog

from engines.errors import CredenceError
from streamer.sinks.outbox import Letter
from streamer.sinks.sqlite_file import DamagedError, code, connected, make, move_aside

_VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    camera TEXT NOT NULL, sequence INTEGER NOT NULL,
    event BLOB NOT NULL, spoken BLOB, state BLOB,
    size INTEGER NOT NULL, put_s REAL NOT NULL,
    acknowledged_s REAL, copies INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS cameras (camera TEXT PRIMARY KEY, next INTEGER NOT NULL);
"""
_FOUND: Final = """
SELECT coalesce(sum(size), 0), count(*) - count(acknowledged_s),
       coalesce(max(acknowledged_s), 0.0), coalesce(max(put_s), 0.0) FROM events
"""
_PUT: Final = """
INSERT INTO events (camera, sequence, event, spoken, state, size, put_s)
VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_COUNT: Final = """
INSERT INTO cameras VALUES (?, ?) ON CONFLICT DO UPDATE SET next = max(next, excluded.next)
"""
# What was acknowledged before has had its state said: it must not step back.
_AFTER: Final = """
SELECT number, camera, sequence, event, spoken, iif(copies, NULL, state)
FROM events WHERE number > ? ORDER BY number LIMIT ?
"""
_ACKNOWLEDGE: Final = """
UPDATE events SET acknowledged_s = ?, copies = copies + 1 WHERE number = ? AND copies < ?
RETURNING copies
"""
_OLDEST: Final = "SELECT number, size, put_s, acknowledged_s FROM events ORDER BY number LIMIT 1"
_ANY_CAMERA: Final = ""
_ROW_BYTES: Final = 100
"""About what SQLite adds to an event."""
_COPIES: Final = 10
"""Of which each lets an event stay for longer. On a line that breaks every few seconds, the copies
would else take ever longer, until no new event came through."""

log = structlog.get_logger()


class SpoolError(CredenceError):
    """Events cannot be kept on disk."""

    def __init__(self, path: Path, problem: str, remedy: str) -> None:
        super().__init__(f"{path}: no events can be kept there ({problem}); {remedy}")
        self.path, self.problem = path, problem


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long events are kept, and how many bytes of them."""

    resend_s: float = 60.0
    """An event is kept until another is acknowledged so much later. So it stays while the broker
    is away: what that had in memory when it was killed is still here when it is back."""
    oldest_s: float = 72 * 3600.0
    """An event waits no longer to be acknowledged."""
    largest_bytes: int = 256_000_000


@dataclass(slots=True)
class Dropped:
    """Events that were given up unacknowledged, by reason."""

    size: int = 0
    age: int = 0


class SpoolStore:
    """One file, which is this process's alone. Each method is all done or, where it raises, not.

    Times are seconds on a clock that goes on from ``newest_s`` when the file is opened, and stands
    still between: no step of the wall clock loses anything.
    """

    def __init__(self, path: Path, bounds: Bounds) -> None:
        self.path, self._bounds = path, bounds
        self._db = connected(path, 0, partial(_prepare, path))
        row = self._db.execute(_FOUND).fetchone()
        self.bytes: int = row[0]
        self.waiting: int = row[1]
        """Events that are not acknowledged."""
        self._acknowledged_s: float = row[2]
        self.newest_s: float = max(row[2:])
        self._next: dict[str, int] = dict(self._db.execute("SELECT camera, next FROM cameras"))

    @classmethod
    def open(cls, path: Path, bounds: Bounds) -> Self:
        """Open a file, or make it; one that is damaged is moved aside. Raises SpoolError."""
        try:
            make(path)
            with suppress(DamagedError):
                return cls(path, bounds)
            _begin_another(path)
            store = cls(path, bounds)
            store._begin_anew()
        except (OSError, sqlite3.Error, DamagedError) as error:
            raise _refusal(path, error) from error
        return store

    def next_sequence(self, camera: str) -> int:
        """Return the number after the last that was kept of a camera; at first 0."""
        return self._next.get(camera, self._next.get(_ANY_CAMERA, 0))

    def write(
        self, letters: Sequence[Letter], acknowledged: Sequence[int], now_s: float
    ) -> Dropped:
        """Keep events and note acknowledgements, in one transaction; then drop what is too much.

        Events are on the disk when this returns. An acknowledgement alone may be lost with the
        power: then the event is sent again.
        """
        self._db.execute(f"PRAGMA synchronous = {'FULL' if letters else 'NORMAL'}")
        before = self.bytes, self.waiting, self._acknowledged_s
        try:
            self._db.execute("BEGIN IMMEDIATE")
            for letter in letters:
                self._put(letter, now_s)
            for number in acknowledged:
                self._acknowledge(number, now_s)
            dropped = self._sweep(now_s)
            self._db.execute("COMMIT")
        except sqlite3.Error:
            self.bytes, self.waiting, self._acknowledged_s = before
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        self._next |= {letter.camera: letter.sequence + 1 for letter in letters}
        return dropped

    def after(self, number: int, limit: int = 64) -> list[tuple[int, Letter]]:
        """Return the next events after a number, acknowledged or not, in order."""
        rows = self._db.execute(_AFTER, (number, limit))
        return [(number, Letter(*rest)) for number, *rest in rows]

    def close(self) -> None:
        """Give the file back."""
        self._db.close()

    def _put(self, letter: Letter, now_s: float) -> None:
        parts = letter.event, letter.spoken, letter.state
        size = _ROW_BYTES + sum(len(part) for part in parts if part)
        self._db.execute(_PUT, (letter.camera, letter.sequence, *parts, size, now_s))
        self._db.execute(_COUNT, (letter.camera, letter.sequence + 1))
        self.bytes += size
        self.waiting += 1

    def _acknowledge(self, number: int, now_s: float) -> None:
        copies = self._db.execute(_ACKNOWLEDGE, (now_s, number, _COPIES)).fetchall()
        self.waiting -= copies == [(1,)]
        self._acknowledged_s = now_s

    def _sweep(self, now_s: float) -> Dropped:
        """Drop the oldest events: those that were acknowledged long ago, are old, or too many."""
        dropped = Dropped()
        acknowledged_until_s = self._acknowledged_s - self._bounds.resend_s
        while oldest := self._db.execute(_OLDEST).fetchone():
            number, size, put_s, acknowledged_s = oldest
            if acknowledged_s is not None and acknowledged_s <= acknowledged_until_s:
                pass
            elif self.bytes > self._bounds.largest_bytes:
                dropped.size += acknowledged_s is None
            elif acknowledged_s is None and put_s < now_s - self._bounds.oldest_s:
                dropped.age += 1
            else:
                break
            self._db.execute("DELETE FROM events WHERE number = ?", (number,))
            self.bytes -= size
            self.waiting -= acknowledged_s is None
        return dropped

    def _begin_anew(self) -> None:
        """Let every camera go on counting from beyond what the lost file may have held."""
        beyond = round(time.time() * 1000)
        self._db.execute(_COUNT, (_ANY_CAMERA, beyond))
        self._next[_ANY_CAMERA] = beyond


def _prepare(path: Path, db: sqlite3.Connection) -> None:
    db.execute("PRAGMA locking_mode = EXCLUSIVE")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("BEGIN EXCLUSIVE")  # from here on the file is ours
    db.execute("COMMIT")
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > _VERSION:
        raise SpoolError(path, "it is a later version's", "name another spool.folder")
    if (found := db.execute("PRAGMA quick_check(1)").fetchone()) != ("ok",):
        raise DamagedError(found)
    db.executescript(_SCHEMA)
    if version < _VERSION:
        db.execute(f"PRAGMA user_version = {_VERSION}")
    db.execute("SELECT size, put_s, acknowledged_s, next FROM events, cameras LIMIT 0")


def _begin_another(path: Path) -> None:
    aside = move_aside(path)
    make(path)
    log.warning(
        f"{path}: the spool is damaged and was moved to {aside.name}; a new one is begun, and what "
        "the broker had not acknowledged is lost"
    )


def _refusal(path: Path, error: Exception) -> SpoolError:
    if isinstance(error, sqlite3.Error) and code(error) == sqlite3.SQLITE_BUSY:
        return SpoolError(path, "another node uses it", "give each its own spool.folder or node")
    problem = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return SpoolError(path, problem.lower(), "name another spool.folder")
