"""How late events are on a machine that has half of the processor that its cameras take.

    python -m benchmarks.overload CLIP --yunet MODEL [--whisper FOLDER]

Eight live cameras over RTSP, twice. First with all cores: what the node takes of the processor then
is its demand. Then again: once all cameras play, it is given half of that, as a quota of a
container would (pinned to one core, and stopped for a part of every tenth of a second), for a
minute. The server that plays the cameras is slowed by nothing. An age counts as in
`benchmarks.cameras`: from the moment at which the camera was due to send what completes the window
to the event's line on standard output; here with the first seconds, in which nothing is left out
yet. What was left out, and how much it came to, is what the node's own metrics say at the end.
Takes a minute and three quarters.
"""

import socket
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

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
_LOOK_S = 2.0
_FALLEN_BEHIND = "falls behind its cameras"


def main() -> None:
    """Print a row without and with the overload, what was left out, and how far it went."""
    asked = arguments(__doc__)
    asked.add_argument("--whisper", type=existing, help="a model in faster-whisper's format")
    given = asked.parse_args()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with_port = [*settings(given.yunet, given.whisper), "--set", f"metrics.port={port}"]
    with feeds(given.clip) as server:
        calm = measure(server, _CAMERAS, with_port, _CYCLES * length_s(given.clip))
        cores = calm.cpu / _OVERLOAD
        left_out = _LeftOut(port, cores)
        busy = measure(server, _CAMERAS, with_port, _SECONDS, left_out.watched)
    Console(width=100).print(_table(given.clip.name, calm, busy, cores))
    print(left_out)
    print(machine())


class _LeftOut:
    """What a node leaves out while it is slowed."""

    def __init__(self, port: int, cores: float) -> None:
        self._url, self._cores = f"http://127.0.0.1:{port}/metrics", cores
        self._counts: Counter[str] = Counter()
        self._levels: list[tuple[float, int]] = []

    @contextmanager
    def watched(self, node: Program) -> Iterator[None]:
        before = self._read()
        with node.slowed(self._cores):
            yield
        self._counts = self._read()
        self._counts.subtract(before)

    def _read(self) -> Counter[str]:
        with urllib.request.urlopen(self._url, timeout=30) as page:
            families = text_string_to_metric_families(page.read().decode())
        counts: Counter[str] = Counter()
        for sample in (sample for family in families for sample in family.samples):
            if sample.name in ("credence_shed_total", "credence_media_dropped_total"):
                counts[sample.labels["reason"]] += int(sample.value)
        return counts

    def __str__(self) -> str:
        return "left out: " + ", ".join(f"{n} {what}" for what, n in self._counts.items())


def _table(clip: str, calm: Measured, busy: Measured, cores: float) -> Table:
    names = ("", "CPU wanted", "given", "used", "age p50", "p99", "most", "events")
    table = Table(*names, title=f"{_CAMERAS} cameras, {clip}")
    for name, given, each in (("all cores", None, calm), ("overload", cores, busy)):
        ages_s = (f"{each.age_s(p):.3f}" for p in (50, 99, 100))
        has = "all" if given is None else f"{given:.2f}"
        table.add_row(
            name, f"{calm.cpu:.2f}", has, f"{each.cpu:.2f}", *ages_s, str(len(each.ages_s))
        )
    return table


if __name__ == "__main__":
    run(main)
