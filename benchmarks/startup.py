"""How soon a program is there, and what each camera adds to its memory.

    python -m benchmarks.startup CLIP --yunet MODEL

From the start of a process: `credence --help` to its end, `credence replay` to the first event's
line, and `credence run` to the moment at which its camera begins to play and to the first event,
without what the clip itself takes until its first window is complete. Medians of seven fresh
processes, after one that warms the file cache; without Whisper. Memory of `credence run` with 1
and with 12 cameras: resident, and with shared pages divided by those who share them (PSS).
"""

import statistics
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.ages import Span, closed_s
from benchmarks.feeds import Feeds, feeds
from benchmarks.node import measure
from benchmarks.processes import Program, arguments, machine, run, running, settings
from streamer.config import Config

RUNS = 7
_COUNTS = (1, 12)
_HELD_S = 15.0


def main() -> None:
    """Print both tables."""
    given = arguments(__doc__).parse_args()
    options = settings(given.yunet)
    with feeds(given.clip) as server:
        Console().print(_soon(given.clip, server, options))
        Console().print(_memory(server, options))
    print(machine())


def _soon(clip: Path, server: Feeds, options: list[str]) -> Table:
    ways: dict[str, Callable[[], dict[str, float]]] = {
        "help": _help,
        "replay": lambda: _replay(clip, options),
        "run": lambda: _run(server, options),
    }
    rounds = [[way() for way in ways.values()] for _ in range(RUNS + 1)][1:]
    table = Table("from the start of the process", "median s", "least", "most", title=clip.name)
    merged = [{name: s for each in row for name, s in each.items()} for row in rounds]
    for name in merged[0]:
        taken = [row[name] for row in merged]
        middle = statistics.median(taken)
        table.add_row(name, *(f"{s:.2f}" for s in (middle, min(taken), max(taken))))
    return table


def _help() -> dict[str, float]:
    with running("streamer.cli", "--help") as program:
        return {"credence --help, to its end": program.end()}


def _replay(clip: Path, options: list[str]) -> dict[str, float]:
    with running("streamer.cli", "replay", str(clip), *options) as program:
        return {"credence replay, to the first event": _first_s(program)}


def _run(server: Feeds, options: list[str]) -> dict[str, float]:
    """Run one camera until two windows are known, as the second tells when the first was whole."""
    where = ("run", server.url("now"), "--output", "-")
    with running("streamer.cli", *where, *options) as program:
        program.wait_for(lambda lines: len(lines) > 1)
        spans = [Span.of(line.text) for line in program.lines]
        plays_s = server.played_s(program.began_s)[0][1] - program.began_s
        return {
            "credence run, until its camera plays": plays_s,
            "credence run, to the first event, less the clip's time until its window is complete": (
                _first_s(program) - closed_s(spans, Config())[0]
            ),
        }


def _first_s(program: Program) -> float:
    program.wait_for(lambda lines: len(lines) > 0)
    return program.lines[0].at_s - program.began_s


def _memory(server: Feeds, options: list[str]) -> Table:
    table = Table("cameras", "RSS MB", "PSS MB", title=f"memory after {_HELD_S:.0f} s")
    held = {n: measure(server, n, options, _HELD_S).memory for n in _COUNTS}
    for count, memory in held.items():
        table.add_row(str(count), f"{memory.rss_mb:.0f}", f"{memory.pss_mb:.0f}")
    fewest, most = held.values()
    more = _COUNTS[1] - _COUNTS[0]
    each = ((most.rss_mb - fewest.rss_mb) / more, (most.pss_mb - fewest.pss_mb) / more)
    table.add_row("each more", *(f"{mb:.1f}" for mb in each))
    return table


if __name__ == "__main__":
    run(main)
