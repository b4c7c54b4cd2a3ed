"""A camera for soaks: sends as fast as it is taken, with a clock that goes on, or hangs up soon.

    python -m benchmarks.hasty CLIP SECONDS

/for-ever plays the clip again and again without waiting, until the clock has come to SECONDS, and
then sends nothing; /short plays its beginning at once and hangs up. Prints its port, and then a
line for each round of the clip or each connection: the path, and what the clock has come to.
"""

import asyncio
import re
import struct
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import groupby
from pathlib import Path

import av

from streamer.demo.rtp import Packet, describe, packets
from streamer.demo.rtsp import Session

_SHORT_S = 2.0
_CLOCK_HZ = 90_000
"""Of every picture (RFC 3551)."""


def for_ever(media: Iterable[Packet], cycle_s: float, rates_hz: dict[int, int]) -> Iterator[Packet]:
    """Yield the packets of one cycle again and again: numbers and clocks of RTP go on.

    Reports are left out: they tie the clock to the time of day, which it outruns.
    """
    cycle = [packet for packet in media if not packet.control]
    counts = {track: sum(packet.track == track for packet in cycle) for track in rates_hz}
    rounds = 0
    while True:
        for packet in cycle:
            number, clock = struct.unpack_from(">HI", packet.data, 2)
            number += rounds * counts[packet.track]
            clock += round(rounds * cycle_s * rates_hz[packet.track])
            head = struct.pack(">HI", number & 0xFFFF, clock & 0xFFFFFFFF)
            data = packet.data[:2] + head + packet.data[8:]
            yield Packet(packet.due_s + rounds * cycle_s, packet.track, data)
        rounds += 1


class _Hasty(Session):
    """One client."""

    def __init__(
        self, writer: asyncio.StreamWriter, clip: Path, media: list[Packet], until_s: float
    ) -> None:
        super().__init__(writer, describe(clip), media)
        self._clip, self._until_s, self._path = clip, until_s, ""

    def answer(self, head: str) -> None:
        self._path = self._path or re.findall(r"rtsp://[^/ ]+/([\w-]+)", head)[0]
        super().answer(head)

    async def play(self) -> None:
        with suppress(OSError):  # the client may have gone
            if self._path == "short":
                await self._beginning()
            else:
                await self._all()

    async def _beginning(self) -> None:
        for packet in self.packets:
            if packet.due_s < _SHORT_S:
                self.send(packet)
        await self.writer.drain()
        print(self._path, _SHORT_S, flush=True)
        self.close()

    async def _all(self) -> None:
        with av.open(str(self._clip)) as given:
            cycle_s = float(Fraction(given.duration or 0, av.time_base))
            rates_hz = {each.index: _CLOCK_HZ for each in given.streams.video}
            rates_hz |= {each.index: each.rate for each in given.streams.audio}
        told_s = 0.0
        media = for_ever(self.packets, cycle_s, rates_hz)
        for second, piece in groupby(media, lambda packet: int(packet.due_s)):
            if second - told_s >= cycle_s or second >= self._until_s:
                told_s = second
                print(self._path, second, flush=True)
            if second >= self._until_s:
                return
            self.writer.write(b"".join(map(self.interleaved, piece)))
            await self.writer.drain()
            await asyncio.sleep(0)


async def _serve(clip: Path, until_s: float) -> None:
    media = list(packets(clip))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _Hasty(writer, clip, media, until_s).hold(reader)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), float(sys.argv[2])))
