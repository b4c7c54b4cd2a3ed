"""A camera in a process of its own: `python -m tests.chaos.camera PORT CLIP [FAULTS as JSON]`."""

import asyncio
import json
import struct
import sys
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from random import Random

import av

from streamer.demo.rtp import Packet, describe, packets
from streamer.demo.rtsp import Session
from tests.chaos.broken import Damage

_CLOCK_HZ = 90_000


@dataclass(frozen=True, slots=True)
class Faults:
    """What is wrong with it, by seconds since a client began to play."""

    bytes_per_s: float | None = None
    """No more is sent, however much more there is."""
    back_at_s: float | None = None
    """Its clock is set back by an hour."""
    damaged_s: tuple[float, float] | None = None
    """From when to when packets come damaged, or cut short."""


class Faulty(Session):
    """One client's connection."""

    def __init__(self, writer: asyncio.StreamWriter, clip: Path, faults: list[Faults]) -> None:
        """Of several ``faults``, who plays takes the last one away."""
        super().__init__(writer, _described(clip), packets(clip, rounds=None))
        self._left, self._damage = faults, Damage(Random(0), 0.1)

    async def play(self) -> None:
        """Send all packets, each when it is due, or later."""
        self._faults = self._left.pop() if len(self._left) > 1 else self._left[0]
        loop = asyncio.get_running_loop()
        began_s = free_s = loop.time()
        try:
            for packet in self.packets:
                await asyncio.sleep(max(began_s + packet.due_s, free_s) - loop.time())
                sent = self._sent(packet, loop.time() - began_s)
                if self._faults.bytes_per_s:
                    free_s = max(free_s, loop.time()) + len(sent) / self._faults.bytes_per_s
                self.writer.write(sent)
                await self.writer.drain()
        except OSError:
            pass  # the client has gone

    def _sent(self, packet: Packet, at_s: float) -> bytes:
        back_at_s, damaged_s = self._faults.back_at_s, self._faults.damaged_s
        if back_at_s is not None and at_s >= back_at_s:
            if packet.control:
                return b""
            packet = replace(packet, data=_an_hour_ago(packet.data))
        if damaged_s and damaged_s[0] <= at_s < damaged_s[1]:
            return self._damage.of(packet, self.interleaved)
        return self.interleaved(packet)


def _an_hour_ago(data: bytes) -> bytes:
    """Set the clock of a packet of RTP back; sound of RTP type 0 counts 8000 a second."""
    rate_hz = {96: _CLOCK_HZ, 0: 8000}.get(data[1] & 0x7F, 16_000)
    (clock,) = struct.unpack_from(">I", data, 4)
    return data[:4] + struct.pack(">I", (clock - 3600 * rate_hz) & 0xFFFFFFFF) + data[8:]


def _described(clip: Path) -> str:
    """Describe a clip, also one of MPEG-4 part 2 without sound."""
    try:
        return describe(clip)
    except ValueError:
        head = ["v=0", "o=- 0 0 IN IP4 127.0.0.1", "s=clip", "c=IN IP4 127.0.0.1", "t=0 0"]
        with av.open(str(clip)) as given:
            extra = bytes(given.streams.video[0].codec_context.extradata or b"").hex()
        media = ["m=video 0 RTP/AVP 96", "a=rtpmap:96 MP4V-ES/90000"]
        more = [f"a=fmtp:96 profile-level-id=1; config={extra}", "a=control:track=0"]
        return "\r\n".join([*head, *media, *more]) + "\r\n"


async def _serve(port: int, clip: Path, faults: Faults) -> None:
    # Only what makes it slow is for those who play later, too.
    left = [Faults(bytes_per_s=faults.bytes_per_s), faults]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(IndexError):  # a client that was told nonsense asks nonsense
            await Faulty(writer, clip, left).hold(reader)

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    print("serving", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    given = json.loads(sys.argv[3]) if len(sys.argv) > 3 else {}
    known = {each.name: given.get(each.name) for each in fields(Faults)}
    asyncio.run(_serve(int(sys.argv[1]), Path(sys.argv[2]), Faults(**known)))
