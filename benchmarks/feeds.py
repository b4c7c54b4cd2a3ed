"""Many cameras that cost little: a clip, muxed once and sent over RTSP again and again.

    python -m benchmarks.feeds CLIP [PORT]

Serves /now, which plays at once, and /0, /1, …, which begin where others are not: each at its own
place in the clip's cycle, so that not all speak at the same time. Prints its port, and then a line
whenever one begins to play: its name, and the time by time.monotonic().
"""

import asyncio
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

import av

from benchmarks.processes import Program, running
from streamer.demo.rtp import Packet, describe, packets
from streamer.demo.rtsp import Session

_PLAYED_S = 120.0
_GOLDEN = 0.6180339887


class Feeds:
    """The server, in a process of its own."""

    def __init__(self, program: Program) -> None:
        self.program = program
        program.wait_for(lambda lines: len(lines) > 0)
        self.port = int(program.lines[0].text)
        self.listened_s = program.lines[0].at_s
        """Since when it has taken connections, by time.monotonic()."""

    def url(self, name: object) -> str:
        """Return the address of a camera."""
        return f"rtsp://127.0.0.1:{self.port}/{name}"

    def played_s(self, since_s: float) -> list[tuple[str, float]]:
        """Return which cameras began to play, and when, by time.monotonic(), since a time."""
        rows = (line.text.split() for line in self.program.lines[1:])
        return [(name, float(at_s)) for name, at_s in rows if float(at_s) >= since_s]


@contextmanager
def feeds(clip: Path, port: int = 0) -> Iterator[Feeds]:
    """Serve a clip for as long as the context lasts, on any port where it is 0."""
    with running("benchmarks.feeds", str(clip), str(port)) as program:
        yield Feeds(program)


def length_s(clip: Path) -> float:
    """Return how long a clip plays."""
    with av.open(str(clip)) as container:
        return (container.duration or 0) / av.time_base


def phase_s(name: str, cycle_s: float) -> float:
    """Return the place of camera ``name`` in a cycle: far from its neighbours for any count."""
    return int(name) * _GOLDEN % 1 * cycle_s


class _Feed(Session):
    """One client. What is sent at one time is sent in one piece."""

    def __init__(
        self, writer: asyncio.StreamWriter, sdp: str, media: list[Packet], cycle_s: float
    ) -> None:
        super().__init__(writer, sdp, media)
        self._cycle_s, self._name = cycle_s, ""

    def answer(self, head: str) -> None:
        self._name = self._name or re.findall(r"rtsp://[^/ ]+/(\w+)", head)[0]
        super().answer(head)

    async def play(self) -> None:
        pieces = groupby(self.packets, lambda packet: packet.due_s)
        if self._name != "now":
            late_s = time.monotonic() - phase_s(self._name, self._cycle_s)
            await asyncio.sleep(-late_s % self._cycle_s)
        began_s = time.monotonic()
        print(self._name, began_s, flush=True)
        for due_s, piece in pieces:
            wait_s = due_s - (time.monotonic() - began_s)
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            self.writer.write(b"".join(map(self.interleaved, piece)))
            await self.writer.drain()


async def _serve(clip: Path, port: int) -> None:
    sdp, cycle_s = describe(clip), length_s(clip)
    media = list(packets(clip, rounds=round(_PLAYED_S / cycle_s)))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _Feed(writer, sdp, media, cycle_s).hold(reader)

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0))
