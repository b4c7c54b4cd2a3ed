"""How many live cameras one machine takes, and what each costs then.

    python -m benchmarks.cameras CLIP --yunet MODEL [--whisper FOLDER]

One `credence run` with more and more cameras, all of which play the clip over RTSP, each at its
own place in the clip's cycle. The most is what it holds with less than 1 % of any camera's media
dropped, the first seconds included, with nothing left out on purpose (`credence_shedding`), and
with a 99th percentile of events' ages of at most 1 s. The age of an event counts from the moment at
which the camera was due to send what completes the window (see `benchmarks.ages`) to the event's
line on standard output; with Whisper, to the first event about a window. The server that plays the
cameras runs on the same cores; its cost is told apart. Memory: resident (RSS), and with shared
pages divided by those who share them (PSS).

Tried are 1, 12 and 24 cameras, then twice as many as long as all hold; then the gap between what
held and what did not is halved, down to a tenth. Each of these five to ten counts takes four to
five cycles of the clip and a few seconds: of a clip of 5 s, some minutes in all. Each is told as it
begins.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.feeds import feeds, length_s
from benchmarks.node import Measured, measure
from benchmarks.processes import arguments, existing, machine, run, settings

FIRST = (1, 12, 24)
_CYCLES = 4
_DROPPED = 0.01
_AGE_S = 1.0


def main() -> None:
    """Print a row for each count, and then the most."""
    asked = arguments(__doc__)
    asked.add_argument("--whisper", type=existing, help="a model in faster-whisper's format")
    given = asked.parse_args()
    seconds = _CYCLES * length_s(given.clip)
    found: dict[int, Measured] = {}
    with feeds(given.clip) as server:
        while (count := following({n: held(each) for n, each in found.items()})) is not None:
            print(f"{count} cameras for {seconds:.0f} s", file=sys.stderr, flush=True)
            found[count] = measure(server, count, settings(given.yunet, given.whisper), seconds)
    Console(width=100).print(_table(given.clip.name, given.whisper, found))
    print(_most(found))
    print(machine())


def held(measured: Measured) -> bool:
    """Tell whether a node has kept up with its cameras."""
    return not measured.shed and measured.dropped < _DROPPED and measured.age_s(99) <= _AGE_S


def following(tried: Mapping[int, bool]) -> int | None:
    """Return the count to try after those that held or did not; None once the most is found.

    Doubles as long as all hold, then halves the gap, down to a tenth.
    """
    best = max((n for n, holds in tried.items() if holds), default=0)
    worst = min((n for n, holds in tried.items() if not holds), default=None)
    for n in FIRST:
        if n not in tried and (worst is None or n < worst):
            return n
    if worst is None:
        return 2 * best
    return None if worst - best <= max(1, best // 10) else (best + worst) // 2


def _table(clip: str, whisper: Path | None, found: Mapping[int, Measured]) -> Table:
    words = f", Whisper {whisper.name}" if whisper else ""
    names = ("CPU", "per camera", "RSS MB", "PSS MB", "dropped", "age p50", "p99", "server CPU", "")
    table = Table("cameras", *names, title=f"one node, {clip}{words}")
    for count, each in sorted(found.items()):
        table.add_row(
            str(count),
            f"{each.cpu:.2f}",
            f"{each.cpu / count:.4f}",
            f"{each.memory.rss_mb:.0f}",
            f"{each.memory.pss_mb:.0f}",
            f"{each.dropped:.1%}",
            f"{each.age_s(50):.3f}",
            f"{each.age_s(99):.3f}",
            f"{each.server_cpu:.2f}",
            "held" if held(each) else "not held",
        )
    return table


def _most(found: Mapping[int, Measured]) -> str:
    holding = [n for n, each in found.items() if held(each)]
    if not holding or 1 not in holding:
        return "this machine does not hold one camera"
    most = max(holding)
    growth = found[most].cpu / most / found[1].cpu
    return f"{most} cameras held; each costs {growth:.2f} times what one alone costs"


if __name__ == "__main__":
    run(main)
