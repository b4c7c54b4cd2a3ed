"""Events as JSON Lines, in window order."""

from typing import TextIO

from streamer.event import EmotionEvent


class JsonLines:
    """Writes each event on a line of its own and flushes it, so that a reader sees it at once."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def put(self, event: EmotionEvent) -> None:
        """Write one event."""
        self._file.write(event.model_dump_json() + "\n")
        self._file.flush()
