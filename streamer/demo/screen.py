"""The demonstration's picture: what is believed at this moment, how surely, and on what grounds."""

import time
from collections import deque
from collections.abc import Callable

from rich import box
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from engines.labels import EMOTIONS
from engines.verdict import MODALITIES
from streamer.event import EmotionData, EmotionEvent, ModalityOpinion
from streamer.looks import BAR_CELLS, gauge, printable, verdict, who
from streamer.screen import Screen

_WIDTH = 84
_EVENTS = 6
_CELLS = 16


class DemoScreen(Screen):
    """Shows the latest event in full, and those before it as lines."""

    def __init__(
        self, console: Console, title: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(console)
        self._title, self._clock = title, clock
        self._events: deque[EmotionEvent] = deque(maxlen=_EVENTS)
        self._began_s: float | None = None
        self._length_s = 0.0

    def play(self, length_s: float) -> None:
        """Say that the clip has begun, and how long it is."""
        self._began_s, self._length_s = self._clock(), length_s

    def event(self, name: str, event: EmotionEvent, payload: bytes) -> None:
        """Show an event; a window's final takes the place of its update."""
        last = self._events[-1] if self._events else None
        if last and last.data.window_id == event.data.window_id:
            self._events[-1] = event
        else:
            self._events.append(event)

    def presence(self, node: str, camera: str | None, state: str) -> None:
        """Show nothing: there is one camera, and it is seen to play."""

    def picture(self) -> RenderableType:
        """Draw the panel."""
        events = list(self._events)
        parts: list[RenderableType] = [self._position(), ""]
        if events:
            parts += [self._judged(events[-1].data), ""]
        parts += [self._line(event.data) for event in events]
        edge = box.ASCII2 if self.ascii_only else box.ROUNDED
        return Panel(
            Group(*parts), title=f"[bold]Credence[/] · {self._title}", box=edge, width=_WIDTH
        )

    def _position(self) -> RenderableType:
        if self._began_s is None:
            return Text("Making the clip, and opening the engines …", "dim")
        at_s = min(self._clock() - self._began_s, self._length_s)
        row = Table.grid(padding=(0, 1))
        played = ProgressBar(self._length_s, at_s, width=_CELLS)
        row.add_row(
            Text("a camera plays", "dim"), played, Text(f"{at_s:.0f} of {self._length_s:.0f} s")
        )
        return row

    def _judged(self, data: EmotionData) -> RenderableType:
        both = Table.grid(padding=(0, 3))
        both.add_row(self._belief(data), self._grounds(data))
        return both

    def _belief(self, data: EmotionData) -> RenderableType:
        """A bar per emotion: what is believed, and lighter its part of what is uncertain."""
        table = Table.grid(padding=(0, 1))
        for emotion in EMOTIONS:
            share = data.uncertainty / len(EMOTIONS)
            style = "bold" if emotion == data.emotion else ""
            table.add_row(
                Text(emotion, style),
                self._gauge(data.belief[emotion], "cyan", more=share, cells=_CELLS),
                Text(f"{data.belief[emotion] + share:4.0%}", style),
            )
        return table

    def _grounds(self, data: EmotionData) -> RenderableType:
        table = Table.grid(padding=(0, 1))
        table.add_row(
            "verdict", Text.assemble((data.emotion or "none", "bold"), " ", verdict(data))
        )
        for name, share in (("uncertainty", data.uncertainty), ("conflict", data.conflict)):
            table.add_row(name, Text.assemble(self._gauge(share, "yellow"), f" {share:.2f}"))
        for modality in MODALITIES:
            table.add_row(modality, _opinion(data.opinions[modality]))
        if data.transcript:
            heard = Text(printable(f"“{data.transcript.text.strip()}”"), "italic")
            heard.truncate(3 * _CELLS - 12, overflow="ellipsis")
            table.add_row("heard", heard)
        return table

    def _line(self, data: EmotionData) -> Text:
        span = f"{data.window.start_s:5.1f} – {data.window.end_s:4.1f} s"
        sure = self._gauge(data.confidence, "cyan", cells=6)
        return Text.assemble(
            (f"{span}  {data.window.kind:<8}{who(data):>3}  ", "dim"),
            f"{data.emotion or 'none':<9} ",
            sure,
            f" {data.confidence:4.0%}  ",
            verdict(data),
        )

    def _gauge(self, share: float, style: str, more: float = 0.0, cells: int = BAR_CELLS) -> Text:
        return gauge(share, style, more=more, cells=cells, ascii_only=self.ascii_only)


def _opinion(opinion: ModalityOpinion) -> Text:
    """Name the emotion that a modality believes most, or say why it has no opinion."""
    if not opinion.present:
        return Text((opinion.reason or "absent").replace("_", " "), "dim")
    emotion, belief = max(opinion.belief.items(), key=lambda item: item[1])
    return Text(f"{emotion} {belief + opinion.uncertainty / len(EMOTIONS):.0%}")
