"""Events as lines, for people and for logs, or as they came, for programs."""

from typing import TextIO

from rich.console import Console
from rich.text import Text

from streamer.event import EmotionEvent
from streamer.looks import because, event_line, is_ascii, printable


class Lines:
    """Writes each event on a line, and on another stream who comes and goes."""

    def __init__(self, out: TextIO, notices: TextIO) -> None:
        self._out = Console(file=out, highlight=False, soft_wrap=True)
        self._notices = Console(file=notices, highlight=False, soft_wrap=True)

    def event(self, name: str, event: EmotionEvent, payload: bytes) -> None:
        """Write an event, and below a final one why it is so."""
        ascii_only = is_ascii(self._out)
        self._out.print(event_line(name, event, ascii_only=ascii_only))
        why = because(event.data, ascii_only=ascii_only) if event.data.phase == "final" else None
        if why:
            self._out.print(Text("    ").append(why))

    def presence(self, node: str, camera: str | None, state: str) -> None:
        """Write that a node, or a camera of it, comes or goes."""
        who = f"camera {node}/{camera}" if camera else f"node {node}"
        self.note(f"{who} is {state}")

    def note(self, text: str) -> None:
        """Write a notice."""
        self._notices.print(Text(printable(text), style="yellow"))


class Payloads(Lines):
    """Writes each event as JSON, as it came."""

    def __init__(self, out: TextIO, notices: TextIO) -> None:
        super().__init__(out, notices)
        self._file = out

    def event(self, name: str, event: EmotionEvent, payload: bytes) -> None:
        """Write an event; on one line, even if its writer spread it over several."""
        text = event.model_dump_json() if b"\n" in payload else payload.decode()
        self._file.write(text + "\n")
        self._file.flush()
