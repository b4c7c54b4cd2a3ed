"""Events as JSON Lines, in window order."""

from contextlib import suppress
from typing import TextIO

from engines.errors import CredenceError
from streamer.event import EmotionEvent


class OutputError(CredenceError):
    """Events cannot be written any more."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name}: no more events can be written ({problem}); make room and replay")
        self.name, self.problem = name, problem


class JsonLines:
    """Writes each event on a line of its own and flushes it, so that a reader sees it at once."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def put(self, event: EmotionEvent) -> None:
        """Write one event; raise OutputError where that fails, as on a full disk."""
        try:
            self._file.write(event.model_dump_json() + "\n")
            self._file.flush()
        except BrokenPipeError:  # whoever read has seen enough
            raise
        except OSError as error:
            with suppress(OSError):  # else it would try again to write what it holds
                self._file.close()
            raise OutputError(self._file.name, (error.strerror or "unknown").lower()) from error
