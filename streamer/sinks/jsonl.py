"""Events as JSON Lines, in window order."""

import errno
from contextlib import suppress
from pathlib import Path
from typing import Final, TextIO

from engines.errors import CredenceError
from streamer.event import EmotionEvent
from streamer.explanation import ExplanationEvent

_FULL: Final = (errno.ENOSPC, errno.EDQUOT)


class OutputError(CredenceError):
    """Events cannot be written any more."""

    def __init__(self, name: str, error: OSError) -> None:
        self.name, self.problem = name, (error.strerror or "unknown").lower()
        remedy = "make room" if error.errno in _FULL else "name another --output"
        super().__init__(f"{name}: no more events can be written ({self.problem}); {remedy}")


class JsonLines:
    """Writes each event on a line of its own and flushes it, so that a reader sees it at once.

    A path is opened, and what it held is lost, only when there is a first event.
    """

    def __init__(self, target: TextIO | Path) -> None:
        self._target = target
        self._file: TextIO | None = None

    def close(self) -> None:
        """Close the file, if this opened it."""
        if isinstance(self._target, Path) and self._file:
            self._file.close()

    def put(self, event: EmotionEvent | ExplanationEvent) -> None:
        """Write one event; raise OutputError where that fails, as on a full disk."""
        try:
            self._opened().write(event.model_dump_json() + "\n")
            self._opened().flush()
        except BrokenPipeError:  # whoever read has seen enough
            raise
        except OSError as error:
            with suppress(OSError):  # else it would try again to write what it holds
                self.close()
            target = self._target
            name = target if isinstance(target, Path) else getattr(target, "name", "the output")
            raise OutputError(str(name), error) from error

    def _opened(self) -> TextIO:
        if self._file is None:
            target = self._target
            self._file = target.open("w", encoding="utf-8") if isinstance(target, Path) else target
        return self._file
