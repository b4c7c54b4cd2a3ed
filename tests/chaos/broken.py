"""A camera whose packets arrive damaged, as fast as they are taken; then it hangs up."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from random import Random

from streamer.demo.rtp import Packet, describe, packets
from streamer.demo.rtsp import Session
from tests.chaos.mutations import mutate

_PACKETS = 400


class Damage:
    """What is sent in place of packets, the same again for the same random numbers."""

    def __init__(self, random: Random, share: float) -> None:
        """``share`` of the packets are damaged."""
        self._random, self._share = random, share

    def of(self, packet: Packet, framed: Callable[[Packet], bytes]) -> bytes:
        """Return what is sent in place of a packet, of which ``framed`` makes an RTSP frame."""
        random = self._random
        if random.random() > self._share:
            return framed(packet)
        sent = framed(replace(packet, data=self._damaged(packet.data)))
        match random.randrange(8):
            case 0:
                return b""
            case 1:
                return sent * 2
            case 2:  # the frame says that it is longer than it is
                return sent[: random.randint(1, max(1, len(sent)))]
            case 3:
                return sent + random.randbytes(random.randint(1, 64))
            case 4:
                return sent + b"RTSP/1.0 500 Broken\r\nCSeq: 99\r\n\r\n"
            case _:
                return sent

    def _damaged(self, data: bytes) -> bytes:
        """Damage the packet, its head more often than the rest: clock, order and kind."""
        head, rest = bytearray(data[:14]), data[14:]
        if self._random.random() < 0.5:
            at = self._random.randrange(1, len(head))
            head[at:] = self._random.randbytes(len(head) - at)
            return bytes(head) + rest
        return mutate(data, b"", self._random)[1][:1500]


class Broken(Session):
    """One client's connection; all that is sent after PLAY may be damaged."""

    def __init__(self, writer: asyncio.StreamWriter, clip: Path, random: Random) -> None:
        self._damage = Damage(random, random.choice((0.02, 0.2, 0.8)))
        sdp = describe(clip)
        if random.random() < 0.25:
            sdp = mutate(sdp.encode(), b"", random)[1].decode("latin1")
        super().__init__(writer, sdp, list(islice(packets(clip), _PACKETS)))

    async def play(self) -> None:
        """Send all packets at once, and go."""
        with suppress(OSError):
            for packet in self.packets:
                self.writer.write(self._damage.of(packet, self.interleaved))
                await self.writer.drain()
        self.played.set()
        self.writer.close()


@asynccontextmanager
async def broken_camera(clip: Path, random: Random) -> AsyncIterator[str]:
    """Serve a clip damaged, to each client otherwise; yield the address."""
    sessions: set[Broken] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = Broken(writer, clip, random)
        sessions.add(session)
        # A client that was told nonsense asks nonsense, and one that stays is dropped at the end.
        with suppress(ValueError, IndexError, asyncio.CancelledError):
            await session.hold(reader)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"rtsp://127.0.0.1:{server.sockets[0].getsockname()[1]}/clip"
    finally:
        server.close()
        for session in sessions:
            session.close()
        await server.wait_closed()
