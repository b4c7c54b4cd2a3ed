"""One `credence run` of many cameras: what it costs, holds and drops, and how late it is."""

import json
import re
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.ages import Span, closed_s
from benchmarks.feeds import Feeds
from benchmarks.processes import Line, Memory, Program, running, wait_until
from streamer.config import Config

WARM_S = 3.0
_CONNECT_S = 20.0
_FIRST_S = 10.0
_SHED = "falls behind its cameras"
_DROPPED = re.compile(r"media was dropped.*?items=(\d+).*?of=(\d+)")


@dataclass(frozen=True, slots=True)
class Measured:
    """A node of so many cameras, over a while."""

    cameras: int
    cpu: float
    """Processor seconds per second, all cameras together."""
    server_cpu: float
    """The same of the server that plays the cameras."""
    memory: Memory
    dropped: float
    """The largest share of a camera's media items that were dropped, from its first on; 1 where a
    camera was lost."""
    shed: bool
    """Whether anything was left out on purpose, so as to keep up."""
    ages_s: tuple[float, ...]
    """From the moment the media that complete a window were due to the first event about it."""
    later_s: tuple[float, ...]
    """The same of what came when the first ten seconds were over."""

    def age_s(self, percentile: float) -> float:
        """Return a percentile of the ages; infinity where there was no event."""
        return float(np.percentile(self.ages_s, percentile)) if self.ages_s else np.inf


def measure(
    server: Feeds,
    count: int,
    settings: Sequence[str],
    seconds: float,
    meanwhile: Callable[[Program], AbstractContextManager[None]] = lambda _: nullcontext(),
) -> Measured:
    """Run a node of ``count`` cameras, and watch it for a while once all of them play.

    What it goes through ``meanwhile`` is a context manager.
    """
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "cameras.yaml"
        cameras = [{"name": f"c{n}", "url": server.url(n)} for n in range(count)]
        config.write_text(json.dumps({"cameras": cameras}))
        given = ("run", str(config), "--output", "-", *settings)
        with running("streamer.cli", *given) as node:
            return _watched(server, node, count, seconds, meanwhile)


def _watched(
    server: Feeds,
    node: Program,
    count: int,
    seconds: float,
    meanwhile: Callable[[Program], AbstractContextManager[None]],
) -> Measured:
    # A node that has ended has no processor time, and says why.
    wait_until(lambda: node.cpu_s > 0 and len(server.played_s(node.began_s)) >= count, _CONNECT_S)
    time.sleep(WARM_S)
    began_s, cpu_s, server_s = time.monotonic(), node.cpu_s, server.program.cpu_s
    with meanwhile(node):
        time.sleep(seconds)
    ended_s = time.monotonic()
    cpu, server_cpu = (
        (after_s - before_s) / (ended_s - began_s)
        for after_s, before_s in ((node.cpu_s, cpu_s), (server.program.cpu_s, server_s))
    )
    memory = node.memory
    node.stop()
    played_s = server.played_s(node.began_s)
    lost = len(played_s) != count or len(dict(played_s)) != count
    ages_s = _ages_s(node.lines, dict(played_s), began_s, ended_s)
    later_s = _ages_s(node.lines, dict(played_s), began_s + _FIRST_S, ended_s)
    dropped = 1.0 if lost else dropped_share(node.errors)
    return Measured(count, cpu, server_cpu, memory, dropped, _SHED in node.errors, ages_s, later_s)


def dropped_share(said: str) -> float:
    """Return the largest share that a camera dropped, by what a node has logged."""
    return max((int(items) / int(of) for items, of in _DROPPED.findall(said)), default=0.0)


def _ages_s(
    lines: Sequence[Line], played_s: dict[str, float], from_s: float, until_s: float
) -> tuple[float, ...]:
    """Return the ages of what came between two times, by time.monotonic()."""
    by_camera: dict[str, dict[Span, float]] = defaultdict(dict)
    for line in lines:
        camera = json.loads(line.text)["data"]["camera"]
        by_camera[camera.removeprefix("c")].setdefault(Span.of(line.text), line.at_s)
    ages_s: list[float] = []
    for camera, came in by_camera.items():
        times_s = list(came.values())[:-1]
        for at_s, whole_s in zip(times_s, closed_s(list(came), Config()), strict=True):
            if from_s <= at_s < until_s and camera in played_s:
                ages_s.append(at_s - played_s[camera] - whole_s)
    return tuple(ages_s)
