"""How far recordings have been read, as bars on standard error."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from streamer.looks import printable
from streamer.source import length_s

Advance = Callable[[Path, float], None]
"""Takes a recording, and how many seconds of it have been read since the last call."""


def no_bars(_file: Path, _by_s: float) -> None:
    """Show nothing."""


@contextmanager
def bars(files: list[Path], *, events_shown: bool) -> Iterator[Advance]:
    """Show a bar for each recording that has begun, if standard error is a terminal.

    Not where events are shown on it, too: each would draw over the other.
    """
    if events_shown or not sys.stderr.isatty():
        yield no_bars
        return
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[at]}")
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as progress:
        tasks = {
            file: progress.add_task(
                printable(file.name).replace("[", r"\["), total=length_s(file), visible=False, at=""
            )
            for file in files
        }

        def advance(file: Path, by_s: float) -> None:
            progress.update(tasks[file], advance=by_s, visible=True)
            task = progress.tasks[tasks[file]]
            whole = f" of {task.total:.0f}" if task.total else ""
            progress.update(task.id, at=f"{task.completed:.0f}{whole} s")

        yield advance
