"""What a store holds, read while it may be written. Blocking."""

import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from engines.labels import Emotion
from streamer.event import Phase
from streamer.sinks.packing import unpack
from streamer.sinks.sqlite_file import DAMAGED, code
from streamer.sinks.store_file import StoreError, microseconds

_KEY: Final = "time_us, camera, sequence, number"
_FROM: Final = "FROM events INDEXED BY by_time, dictionary"
_AT_ONCE: Final = 500
_PATIENCE_S: Final = 5.0


Values = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events are asked for: those for which all that is given holds."""

    camera: str | None = None
    since: datetime | None = None
    """No window that ended before."""
    until: datetime | None = None
    """Only windows that ended before."""
    emotion: Emotion | None = None
    trusted: bool = False
    """Only those."""
    phase: Phase | None = "final"
    latest: int | None = None
    """Of those that remain, only so many of the last."""


class Stored:
    """An open store."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def count(self, wanted: Wanted) -> int:
        """Return how many events there are, whatever ``latest`` says."""
        where, values = _conditions(wanted)
        (count,) = self._db.execute(f"SELECT count(*) FROM events WHERE {where}", values).fetchone()
        return int(count)

    def events(self, wanted: Wanted) -> Iterator[bytes]:
        """Yield events as they were published, by time, then camera and sequence.

        Between some hundreds of them nothing of the file is held, so that a reader who rests does
        not make it grow. Uses the same memory for any number.
        """
        left, key = wanted.latest, self._before_latest(wanted)
        while left is None or left > 0:
            most = _AT_ONCE if left is None else min(left, _AT_ONCE)
            page = self._page(wanted, key, most)
            for *_, packed, words in page:
                yield unpack(packed, words)
            if len(page) < most:
                return
            key = page[-1][:4]
            left = None if left is None else left - most

    def _page(self, wanted: Wanted, after: Values, most: int) -> list[Values]:
        """Return the next keys and events after a key; from the first on without one."""
        if after:
            where, values = _conditions(replace(wanted, since=None))  # which the key implies
            where = f"{where} AND ({_KEY}) > (?, ?, ?, ?)"
        else:
            where, values = _conditions(wanted)
        chosen = f"SELECT {_KEY}, event, bytes {_FROM} WHERE {where} ORDER BY {_KEY} LIMIT ?"
        return self._db.execute(chosen, (*values, *after, most)).fetchall()

    def _before_latest(self, wanted: Wanted) -> Values:
        """Return the key of the event before the latest ones; an empty one where they are all."""
        if wanted.latest is None:
            return ()
        where, values = _conditions(wanted)
        backward = ", ".join(f"{column} DESC" for column in _KEY.split(", "))
        chosen = f"SELECT {_KEY} FROM events WHERE {where} ORDER BY {backward} LIMIT 1 OFFSET ?"
        found: Values | None = self._db.execute(chosen, (*values, wanted.latest)).fetchone()
        return found or ()


@contextmanager
def stored(path: Path) -> Iterator[Stored]:
    """Open a store to read it; raise StoreError where that, or reading, fails."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        problem = "there is no store yet; it is made where store.path is configured"
        raise StoreError(path, problem) from None
    except OSError as error:
        problem = f"the store cannot be read ({(error.strerror or 'unknown').lower()})"
        raise StoreError(path, problem) from None
    try:
        db = sqlite3.connect(f"file:{quote(str(path))}?mode=rw", _PATIENCE_S, uri=True)
        try:
            db.execute("PRAGMA query_only = ON")
            yield Stored(db)
        finally:
            db.close()
    except sqlite3.Error as error:
        raise _unreadable(path, error) from error
    except zlib.error as error:
        raise StoreError(path, f"the store is damaged ({error})") from error


def _unreadable(path: Path, error: sqlite3.Error) -> StoreError:
    if code(error) in DAMAGED:
        return StoreError(path, f"this is no store, or a damaged one ({error})")
    return StoreError(path, f"the store cannot be read ({error})")


def _conditions(wanted: Wanted) -> tuple[str, Values]:
    conditions = {
        "camera = ?": wanted.camera,
        "time_us >= ?": wanted.since and microseconds(wanted.since),
        "time_us < ?": wanted.until and microseconds(wanted.until),
        "emotion = ?": wanted.emotion,
        "trusted = ?": wanted.trusted or None,
        "phase = ?": wanted.phase,
    }
    given = {condition: value for condition, value in conditions.items() if value is not None}
    return " AND ".join(given) or "true", tuple(given.values())
