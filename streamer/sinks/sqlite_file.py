"""What files of SQLite have in common: they are private, and moved aside where they are damaged."""

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
"""Result codes of a file that is none of SQLite's, is torn, or has other tables."""


class DamagedError(Exception):
    """The file is none of SQLite's, or no whole one."""


def connected(
    path: Path, patience_s: float, prepare: Callable[[sqlite3.Connection], None]
) -> sqlite3.Connection:
    """Open a file for any thread, and have it prepared and checked. Raises DamagedError.

    Who else writes it is waited for so long; transactions are the caller's.
    """
    db = sqlite3.connect(path, patience_s, isolation_level=None, check_same_thread=False)
    try:
        prepare(db)
    except sqlite3.Error as error:
        db.close()
        if code(error) in DAMAGED:
            raise DamagedError(str(error)) from error
        raise
    except BaseException:
        db.close()
        raise
    return db


def make(path: Path) -> None:
    """Make a file, and its folder, that nobody else may read; leave one that is there."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)  # what people felt, and maybe said, is nobody else's


def move_aside(path: Path) -> Path:
    """Give a damaged file another name, together with what SQLite keeps beside it; return that."""
    aside = path.with_stem(f"{path.stem}.damaged")
    for end in ("", "-wal"):
        with suppress(FileNotFoundError):
            Path(f"{path}{end}").replace(f"{aside}{end}")
    return aside


def code(error: sqlite3.Error) -> int:
    """Return the primary result code, without what SQLite adds to it."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
