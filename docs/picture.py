"""Makes the picture of the README from a run of the demonstration: `python -m docs.picture`."""

import asyncio
import io
from itertools import count
from pathlib import Path

import cv2
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import MONOKAI

from streamer.config import load
from streamer.demo import show
from streamer.demo.broker import find_mosquitto
from streamer.demo.screen import DemoScreen
from streamer.event import EmotionEvent

PLACE = Path(__file__).parent / "images" / "demo.svg"


class Kept:
    """Keeps the events of a run, to be shown later."""

    def __init__(self) -> None:
        self.events: list[EmotionEvent] = []
        self.length_s = 0.0

    def begin(self, length_s: float) -> None:
        """Note the length of the clip."""
        self.length_s = length_s

    def event(self, name: str, event: EmotionEvent, payload: bytes) -> None:
        """Keep an event."""
        self.events.append(event)

    def presence(self, node: str, camera: str | None, state: str) -> None:
        """Leave it out."""

    def note(self, text: str) -> None:
        """Leave it out."""


def picture(kept: Kept) -> str:
    """Return an SVG of the moment of the last event of speech."""
    last = max(n for n, event in enumerate(kept.events) if event.data.window.kind == "speech")
    upto = kept.events[: last + 1]
    clock = count(0.0, upto[-1].data.window.end_s)
    console = Console(record=True, width=86, file=io.StringIO(), force_terminal=True)
    screen = DemoScreen(console, show.TITLE, lambda: next(clock))
    screen.play(kept.length_s)
    for event in upto:
        screen.event(event.data.camera, event, b"")
    console.print(screen.render())
    return console.export_svg(
        title="scripts/demo", theme=MONOKAI, code_format=_without_fonts(), unique_id="demo"
    )


def _without_fonts() -> str:
    """Rich's own format fetches a font from the network; a reader's own must do."""
    before, _, rest = CONSOLE_SVG_FORMAT.partition("@font-face")
    return before + rest[rest.index(".{unique_id}-matrix") :]


if __name__ == "__main__":
    cv2.setNumThreads(1)
    kept = Kept()
    asyncio.run(show.show(load(None), kept, find_mosquitto(), kept.begin))
    PLACE.parent.mkdir(exist_ok=True)
    PLACE.write_text(picture(kept), encoding="utf-8")
