"""How soon a camera that comes back has its first event.

    python -m benchmarks.comeback CLIP --yunet MODEL [--outages 1,4,15,40] [--runs 5]

An RTSP server that plays CLIP is killed, and started again after an outage, while `credence run`
goes on. The clock starts when the server listens again. *Playing*: the node has asked for the
media. *Window begins*: so much of the scene is missed before the first window that is judged.
*Event out*: its event is a line of output. How soon that can be is up to the clip, too: a window of
a face alone is two seconds long, and whole 0.44 s later; one of speech ends with the utterance.
"""

import json
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.feeds import Feeds, feeds
from benchmarks.processes import Program, arguments, machine, run, running, settings

_STEADY_S = 4.0
"""The camera plays for so long before it is killed."""


@dataclass(frozen=True, slots=True)
class Comeback:
    """Seconds since the server listened again."""

    playing_s: float
    begins_s: float
    out_s: float


def main() -> None:
    """Print the table."""
    asked = arguments(__doc__)
    asked.add_argument("--outages", default="1,4,15,40", help="seconds, joined by commas")
    asked.add_argument("--runs", type=int, default=5)
    given = asked.parse_args()
    outages_s = [float(text) for text in given.outages.split(",")]
    table = Table(
        *("outage s", "playing: median s", "worst", "window begins: median s", "worst"),
        *("event out: median s", "worst"),
        title=f"{given.clip.name}, {given.runs} times each",
    )
    for outage_s in outages_s:
        found = list(_comebacks(given.clip, settings(given.yunet), outage_s, given.runs))
        columns = [[one.playing_s for one in found], [one.begins_s for one in found]]
        table.add_row(f"{outage_s:g}", *_summed(*columns, [one.out_s for one in found]))
    Console().print(table)
    print(machine())


def _summed(*columns: Sequence[float]) -> list[str]:
    return [f"{s:.2f}" for column in columns for s in (statistics.median(column), max(column))]


def _comebacks(clip: Path, options: list[str], outage_s: float, runs: int) -> Iterator[Comeback]:
    with ExitStack() as stack:
        up = stack.enter_context(ExitStack())
        server = up.enter_context(feeds(clip))
        where = ("run", server.url("now"), "--output", "-")
        node = stack.enter_context(running("streamer.cli", *where, *options))
        node.wait_for(lambda lines: len(lines) > 0)
        for _ in range(runs):
            time.sleep(_STEADY_S)
            up.close()
            time.sleep(outage_s)
            again = up.enter_context(feeds(clip, server.port))
            yield _comeback(node, again)


def _comeback(node: Program, server: Feeds) -> Comeback:
    listened_s = server.listened_s
    node.wait_for(lambda lines: lines[-1].at_s > listened_s)
    first = next(line for line in node.lines if line.at_s > listened_s)
    window = json.loads(first.text)["data"]["window"]
    playing_s = server.played_s(listened_s)[0][1] - listened_s
    return Comeback(playing_s, playing_s + window["start_s"], first.at_s - listened_s)


if __name__ == "__main__":
    run(main)
