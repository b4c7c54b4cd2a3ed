"""A live table with a row for each camera."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from streamer.event import EmotionEvent
from streamer.looks import JUDGED, because, judged, several
from streamer.screen import Screen

_STATUS_CELLS: Final = 40
_WIDE: Final = 100


@dataclass(eq=False)
class _Row:
    status: str = ""
    event: EmotionEvent | None = None


class CameraTable(Screen):
    """Shows of each camera whether it is there, and its latest event."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._rows: dict[tuple[str, str], _Row] = {}
        self._nodes: dict[str, str] = {}

    def event(self, name: str, event: EmotionEvent, payload: bytes) -> None:
        """Show an event in its camera's row."""
        node, _, camera = name.partition("/")
        self._row(node, camera).event = event

    def presence(self, node: str, camera: str | None, state: str) -> None:
        """Show what a camera says of itself, or its node, without which that counts for nothing."""
        if camera:
            self._row(node, camera).status = state[:_STATUS_CELLS]
        else:
            self._nodes[node] = state[:_STATUS_CELLS]

    def picture(self) -> RenderableType:
        """Draw the table."""
        if not self._rows:
            nodes = ", ".join(f"{node} is {state}" for node, state in list(self._nodes.items()))
            return Text(f"No camera has said anything yet. {nodes}".strip(), "dim")
        table = Table(box=None, header_style="dim", padding=(0, 1, 0, 0), pad_edge=False)
        table.add_column("camera", overflow="fold")  # gives way where there is little room
        for heading in ("status", "UTC", *JUDGED):
            table.add_column(heading, no_wrap=True)
        rows = sorted(self._rows.items())
        wide = self._console.width >= _WIDE
        if shows := wide and any(row.event and several(row.event.data) for _, row in rows):
            table.add_column("shows", no_wrap=True)
        for (node, camera), row in rows:
            name, cells = Text(f"{node}/{camera}"), self._judged(row.event)
            table.add_row(name, self._status(node, row), *(cells if shows else cells[:-1]))
        return Group(table, *self._reasons())

    def _reasons(self) -> Iterator[Text]:
        """Yield below the table why each camera's latest verdict is so, and what had no room."""
        for (node, camera), row in sorted(self._rows.items()):
            if row.event is None:
                continue
            name = (f"{node}/{camera} ", "bold dim")
            if why := because(row.event.data, ascii_only=self.ascii_only):
                yield Text.assemble(name, why)
            if self._console.width < _WIDE and (shown := several(row.event.data)):
                yield Text.assemble(name, "shows ", ", ".join(shown))

    def _row(self, node: str, camera: str) -> _Row:
        return self._rows.setdefault((node, camera), _Row())

    def _status(self, node: str, row: _Row) -> Text:
        if self._nodes.get(node, "online") != "online":
            return Text(f"node {self._nodes[node]}", "red")
        # "online: it sends no sound, …" is a camera that works, but not as it should.
        fine = "green" if row.status == "online" else "yellow"
        return Text(row.status or "-", fine if row.status.startswith("online") else "red")

    def _judged(self, event: EmotionEvent | None) -> list[Text]:
        if event is None:
            return []
        wide = self._console.width >= _WIDE
        return [
            Text(f"{event.time:%H:%M:%S}"),
            *judged(event.data, wide=wide, ascii_only=self.ascii_only),
            Text("\n".join(several(event.data))),
        ]
