"""What one live camera costs, beside decoding it alone, and beside the script one would write.

    python -m benchmarks.stream CLIP --yunet MODEL

Processor time per second of the stream, of a whole process each, taken from outside once it runs
steadily, over whole cycles of the clip; without Whisper. All three are sent the same packets by the
same server, one program after the other, three rounds; medians, least and most. What does not keep
up with the camera is measured by the stream's time, not the clock's. `credence replay` of the same
clip then shows how Credence's time divides (see `benchmarks.replay`).
"""

import statistics
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import replay
from benchmarks.feeds import Feeds, feeds, length_s
from benchmarks.processes import Program, arguments, machine, run, running, settings

ROUNDS = 3
_WARM_S = 1.0
_CYCLES = 2


def main() -> None:
    """Print both tables."""
    given = arguments(__doc__).parse_args()
    cycle_s = length_s(given.clip)
    with feeds(given.clip) as server:
        ways: dict[str, Callable[[], float]] = {
            "decoding": lambda: _decoding(server, _CYCLES * cycle_s),
            "credence run": lambda: _credence(server, given.yunet, _CYCLES * cycle_s),
            "naive script": lambda: _naive(server, given.yunet, cycle_s),
        }
        rounds = [{name: way() for name, way in ways.items()} for _ in range(ROUNDS)]
    Console().print(_table(given.clip.name, rounds))
    print(machine())
    replay.show(given.clip, str(given.yunet))


def _table(title: str, rounds: list[dict[str, float]]) -> Table:
    names = ("CPU s per s", "least", "most", "× decoding", "of script")
    table = Table("", *names, title=f"one camera, {title}, {len(rounds)} rounds")
    taken = {name: [each[name] for each in rounds] for name in rounds[0]}
    middle = {name: statistics.median(each) for name, each in taken.items()}
    for name, each in taken.items():
        row = (middle[name], min(each), max(each))
        ratio = middle[name] / middle["decoding"]
        share = middle["naive script"] / middle[name]
        table.add_row(name, *(f"{s:.4f}" for s in row), f"{ratio:.2f}", f"1/{share:.1f}")
    return table


def _credence(server: Feeds, yunet: Path, wanted_s: float) -> float:
    where = ("run", server.url("now"), "--output", "-")
    with running("streamer.cli", *where, *settings(yunet)) as program:
        program.wait_for(lambda events: len(events) > 0)
        time.sleep(_WARM_S)
        began_s, before_s = time.monotonic(), program.cpu_s
        time.sleep(wanted_s)
        return (program.cpu_s - before_s) / (time.monotonic() - began_s)


def _decoding(server: Feeds, wanted_s: float) -> float:
    with running("benchmarks.decode", server.url("now")) as program:
        return _per_stream_s(program, wanted_s)


def _naive(server: Feeds, yunet: Path, wanted_s: float) -> float:
    with running("benchmarks.naive", server.url("now"), str(yunet)) as program:
        return _per_stream_s(program, wanted_s)


def _per_stream_s(program: Program, wanted_s: float) -> float:
    """Return the cost of a program that prints the stream's time, once a second of it."""
    program.wait_for(lambda lines: len(lines) > 0 and float(lines[-1].text) >= _WARM_S)
    first_s, before_s = float(program.lines[-1].text), program.cpu_s
    program.wait_for(lambda lines: float(lines[-1].text) >= first_s + wanted_s - 0.5)
    return (program.cpu_s - before_s) / (float(program.lines[-1].text) - first_s)


if __name__ == "__main__":
    run(main)
