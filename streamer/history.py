"""Stored events as people and programs want them: a table, lines, JSON Lines or CSV."""

import csv
import io
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from engines.labels import EMOTIONS
from streamer.event import EmotionEvent
from streamer.looks import JUDGED, event_line, is_ascii, judged, printable
from streamer.sinks.jsonl import OutputError

COLUMNS: Final = (
    "time",
    "source",
    "camera",
    "sequence",
    "id",
    "phase",
    "kind",
    "start_s",
    "end_s",
    "person",
    "emotion",
    "confidence",
    "trusted",
    "reason",
    "uncertainty",
    "conflict",
    "modalities",
    *(f"belief_{emotion}" for emotion in EMOTIONS),
)
"""Of CSV; docs/operations.md says what they hold."""
_PLAIN: Final = ("camera", "phase", "emotion", "confidence", "reason", "uncertainty", "conflict")
_WIDE: Final = 100


def show(events: Iterable[bytes], console: Console) -> int:
    """Print events, as a table on a terminal, else a line each; return how many there were."""
    found = [EmotionEvent.model_validate_json(event) for event in events]
    if not console.is_terminal:
        for event in found:
            line = event_line(_name(event), event, ascii_only=is_ascii(console))
            console.print(line, soft_wrap=True)
    elif found:
        console.print(_table(found, console))
    return len(found)


def json_lines(events: Iterable[bytes], out: BinaryIO) -> None:
    """Write each event as it was published, on a line of its own."""
    out.writelines(event + b"\n" for event in events)


def comma_separated(events: Iterable[bytes], out: BinaryIO) -> None:
    """Write each event as a row below the names of `COLUMNS`."""
    text = io.TextIOWrapper(out, encoding="utf-8", newline="")
    try:
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(_row(json.loads(event)) for event in events)
    finally:
        text.detach()


@contextmanager
def writing(output: Path) -> Iterator[BinaryIO]:
    """Open a file that is written anew, or with `-` standard output; raise OutputError."""
    try:
        if str(output) == "-":
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        else:
            with output.open("wb") as file:
                yield file
    except BrokenPipeError:  # whoever read has seen enough
        raise
    except OSError as error:
        raise OutputError(
            "standard output" if str(output) == "-" else str(output), error
        ) from error


def _name(event: EmotionEvent) -> str:
    """Return node/camera; what was stored came over no network, but may have been edited."""
    return printable(event.source.removeprefix("/credence/"))


def _table(events: Sequence[EmotionEvent], console: Console) -> Table:
    wide, ascii_only = console.width >= _WIDE, is_ascii(console)
    table = Table(box=None, header_style="dim", padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("UTC", no_wrap=True)
    table.add_column("camera", overflow="fold")  # gives way where there is little room
    for heading in (*(["kind"] if wide else []), *JUDGED):
        table.add_column(heading, no_wrap=True)
    for event in events:
        data = event.data
        update = "" if data.phase == "final" else " (update)"
        table.add_row(
            Text(f"{event.time:%Y-%m-%d %H:%M:%S}"),
            Text(f"{printable(data.camera)}{update}"),
            *([Text(data.window.kind)] if wide else []),
            *judged(data, wide=wide, ascii_only=ascii_only),
        )
    return table


def _row(event: dict[str, Any]) -> dict[str, object]:
    data = event["data"]
    present = [kind for kind, opinion in data["opinions"].items() if opinion["present"]]
    return {
        **{column: event[column] for column in ("time", "source", "sequence", "id")},
        **{column: data[column] for column in _PLAIN},
        "kind": data["window"]["kind"],
        "start_s": data["window"]["start_s"],
        "end_s": data["window"]["end_s"],
        "person": data["person"]["track"] if data["person"] else None,
        "trusted": str(data["trusted"]).lower(),
        "modalities": "+".join(present),
        **{f"belief_{emotion}": data["belief"][emotion] for emotion in EMOTIONS},
    }
