"""How soon `credence run` ends on SIGTERM while one of its cameras is wedged.

    python -m benchmarks.shutdown CLIP --yunet MODEL [--runs 5]

Beside the wedged camera another plays CLIP. *Exit*: from the signal to the end of the process.
*Events after it*: of the other camera, the fewest of all runs: what had begun is finished.

`not answering` takes connections and never says anything; `frozen` is a server that was stopped in
the middle of its stream; `no name` is a host whose name server, on loopback, does not answer, and
`broker: no name` such a broker, while the camera plays: only for root with `unshare`, as the node
then has a resolv.conf of its own.
"""

import json
import os
import shutil
import signal
import socket
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.feeds import feeds
from benchmarks.processes import Program, arguments, machine, run, running, settings

_WEDGED_S = 2.5
"""The camera has been wedged for so long when the signal comes."""
_HANGS = "nameserver 127.0.0.1\noptions timeout:30 attempts:5\n"
_OWN_RESOLVER = 'mount --bind "$1" /etc/resolv.conf && shift && exec "$@"'


@dataclass(frozen=True, slots=True)
class Wedge:
    """A camera that wedges."""

    url: str
    freeze: Callable[[], None] = lambda: None
    """Wedges it, once the node has begun."""
    within: Sequence[str] = ()
    """What the node must run in."""
    broker: str = ""


Way = Callable[[Path], AbstractContextManager[Wedge]]


@dataclass(frozen=True, slots=True)
class Exit:
    """One end of a node."""

    took_s: float
    events: int


def main() -> None:
    """Print the table."""
    asked = arguments(__doc__)
    asked.add_argument("--runs", type=int, default=5)
    given = asked.parse_args()
    table = Table("the other camera", "exit: median s", "worst", "events after it", title="SIGTERM")
    ways = {
        "plays": _plays,
        "not answering": _not_answering,
        "frozen": _frozen,
        "no name": _no_name,
        "broker: no name": _no_broker,
    }
    for name, way in ways.items():
        if "no name" in name and (os.getuid() or not shutil.which("unshare")):
            table.add_row(name, *["not measured"] * 3)
            continue
        exits = [_exit(given.clip, settings(given.yunet), way) for _ in range(given.runs)]
        took_s = [one.took_s for one in exits]
        times = (f"{statistics.median(took_s):.2f}", f"{max(took_s):.2f}")
        table.add_row(name, *times, str(min(one.events for one in exits)))
    Console().print(table)
    print(machine())


def _exit(clip: Path, options: list[str], way: Way) -> Exit:
    with feeds(clip) as server, way(clip) as wedge, tempfile.TemporaryDirectory() as folder:
        cameras = [{"name": "well", "url": server.url("now")}, {"name": "ill", "url": wedge.url}]
        config = Path(folder) / "config.yaml"
        broker = {"mqtt": {"url": wedge.broker}, "spool": {"folder": folder}}
        config.write_text(json.dumps({"cameras": cameras, **(broker if wedge.broker else {})}))
        given = ("run", str(config), "--output", "-", *options)
        with running("streamer.cli", *given, within=wedge.within) as node:
            return _ended(node, wedge)


def _ended(node: Program, wedge: Wedge) -> Exit:
    node.wait_for(lambda lines: any('"camera":"well"' in line.text for line in lines))
    wedge.freeze()
    time.sleep(_WEDGED_S)
    said_s = time.monotonic()
    node.signal(signal.SIGTERM)
    took_s = node.began_s + node.end() - said_s
    after = [line for line in node.lines if line.at_s > said_s and '"camera":"well"' in line.text]
    return Exit(took_s, len(after))


@contextmanager
def _plays(clip: Path) -> Iterator[Wedge]:
    with feeds(clip) as server:
        yield Wedge(server.url("now"))


@contextmanager
def _not_answering(_clip: Path) -> Iterator[Wedge]:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        yield Wedge(f"rtsp://127.0.0.1:{silent.getsockname()[1]}/x")


@contextmanager
def _frozen(clip: Path) -> Iterator[Wedge]:
    with feeds(clip) as server:
        yield Wedge(server.url("now"), lambda: server.program.signal(signal.SIGSTOP))
        server.program.signal(signal.SIGCONT)


@contextmanager
def _no_name(_clip: Path) -> Iterator[Wedge]:
    with _unanswered() as within:
        yield Wedge("rtsp://camera.example/x", within=within)


@contextmanager
def _no_broker(clip: Path) -> Iterator[Wedge]:
    with _unanswered() as within, feeds(clip) as server:
        yield Wedge(server.url("now"), within=within, broker="mqtt://broker.example")


@contextmanager
def _unanswered() -> Iterator[Sequence[str]]:
    """Return a command in which no name is ever resolved."""
    with socket.socket(type=socket.SOCK_DGRAM) as silent, tempfile.NamedTemporaryFile("w") as asks:
        silent.bind(("127.0.0.1", 53))
        asks.write(_HANGS)
        asks.flush()
        yield ("unshare", "--mount", "sh", "-c", _OWN_RESOLVER, "sh", asks.name)


if __name__ == "__main__":
    run(main)
