"""How late events are where a node has half of the processor that its cameras take.

    python -m benchmarks.overload CLIP --yunet MODEL [--whisper FOLDER]

Eight live cameras over RTSP, twice. First with all cores: what the node takes of the processor then
is what it wants, if nothing was left out, which is told. Then again: once all cameras play, it is
given half of that for a minute, as a quota of a container would: pinned to one core, and stopped
for a part of every tenth of a second. The server that plays the cameras is not slowed.

An age counts as in `benchmarks.cameras`: from the moment at which the camera was due to send what
completes the window to the event's line on standard output. The first seconds count, too, in which
the node has yet to notice; *later* is what came after ten. What was left out, and the level at
the end, are what its metrics say. Takes a minute and a half.
"""

import socket
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import numpy as np
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.table import Table

from benchmarks.feeds import feeds, length_s
from benchmarks.node import Measured, measure
from benchmarks.processes import Program, arguments, existing, machine, run, settings

_CAMERAS = 8
_OVERLOAD = 2.0
_CYCLES = 3
_SECONDS = 60.0
_COUNTED = ("credence_shed_total", "credence_media_dropped_total")


def main() -> None:
    """Print a row for each run, and what was left out in it."""
    asked = arguments(__doc__)
    asked.add_argument("--whisper", type=existing, help="a model in faster-whisper's format")
    given = asked.parse_args()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = [*settings(given.yunet, given.whisper), "--set", f"metrics.port={port}"]
    free_run, slowed_run = _Watched(port), _Watched(port)
    with feeds(given.clip) as server:
        seconds = _CYCLES * length_s(given.clip)
        free_run.measured = measure(server, _CAMERAS, options, seconds, free_run.watch)
        slowed_run.cores = free_run.measured.cpu / _OVERLOAD
        slowed_run.measured = measure(server, _CAMERAS, options, _SECONDS, slowed_run.watch)
    Console(width=100).print(_table(given.clip.name, free_run, slowed_run))
    if free_run.left_out:
        print("something was left out with all cores, too: other programs were in the way")
    print(machine())


class _Watched:
    """A run, how many cores it was given, and what was left out in it."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/metrics"
        self.cores: float | None = None
        self.left_out: Counter[str] = Counter()
        self.level = 0
        self.measured: Measured | None = None

    @contextmanager
    def watch(self, node: Program) -> Iterator[None]:
        before = self._read()
        with node.slowed(self.cores) if self.cores else nullcontext():
            yield
        self.left_out = self._read() - before

    def row(self, name: str) -> list[str]:
        assert self.measured
        given = f"{self.cores:.2f}" if self.cores else "all"
        ages_s = [f"{self.measured.age_s(p):.2f}" for p in (50, 99, 100)]
        later = self.measured.later_s
        later_s = f"{np.percentile(later, 99):.2f}" if later else "-"
        left_out = ", ".join(f"{n} {what}" for what, n in self.left_out.items()) or "nothing"
        count = len(self.measured.ages_s)
        taken, level = f"{self.measured.cpu:.2f}", str(self.level)
        return [name, given, taken, str(count), *ages_s, later_s, level, left_out]

    def _read(self) -> Counter[str]:
        with urllib.request.urlopen(self._url, timeout=30) as page:
            families = text_string_to_metric_families(page.read().decode())
        counts: Counter[str] = Counter()
        for sample in (sample for family in families for sample in family.samples):
            if sample.name == "credence_shedding":
                self.level = int(sample.value)
            if sample.name in _COUNTED:
                counts[sample.labels["reason"]] += int(sample.value)
        return counts


def _table(clip: str, free: _Watched, slowed: _Watched) -> Table:
    names = (
        "",
        "cores given",
        "taken",
        "events",
        "age p50",
        "p99",
        "most",
        "later p99",
        "level",
        "left out",
    )
    table = Table(*names, title=f"{_CAMERAS} cameras, {clip}")
    table.add_row(*free.row("free"))
    table.add_row(*slowed.row(f"{_OVERLOAD:g} × overload"))
    return table


if __name__ == "__main__":
    run(main)
