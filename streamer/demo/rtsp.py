"""A camera on this machine that plays a clip over RTSP: TCP, with RTP interleaved (RFC 2326)."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from streamer.demo.rtp import Packet


@dataclass(eq=False)
class Session:
    """One client: answers what it asks, and plays the clip to it at the clip's own pace."""

    writer: asyncio.StreamWriter
    description: str
    packets: Iterable[Packet]
    played: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the client has been sent all of it."""

    def __post_init__(self) -> None:
        self._channels: dict[int, int] = {}
        self._player: asyncio.Task[None] | None = None

    async def hold(self, reader: asyncio.StreamReader) -> None:
        """Serve the client until it goes."""
        try:
            while (head := await _request(reader)) is not None:
                self.answer(head)
                await self.writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # it has gone without farewell
        finally:
            self.close()

    def close(self) -> None:
        """Play no more, and hang up."""
        if self._player:
            self._player.cancel()
        self.writer.close()

    def answer(self, head: str) -> None:
        """Answer one request, of which ``head`` is all."""
        method, url = head.split(" ")[:2]
        match method:
            case "OPTIONS":
                self.reply(head, "200 OK", "Public: DESCRIBE, SETUP, PLAY, TEARDOWN\r\n")
            case "DESCRIBE":
                base = f"Content-Base: {url}/\r\nContent-Type: application/sdp\r\n"
                self.reply(head, "200 OK", base, self.description)
            case "SETUP":
                agreed = self.agree(int(url.rpartition("=")[2]), _header(head, "Transport"))
                self.reply(head, "200 OK", f"Transport: {agreed}\r\n")
            case "PLAY":
                self.reply(head, "200 OK", "Range: npt=0-\r\n")
                self._player = asyncio.create_task(self.play(), name="rtsp player")
            case _:
                self.reply(head, "200 OK")

    def reply(self, head: str, status: str, headers: str = "", body: str = "") -> None:
        """Send the response to the request ``head``; each of ``headers`` ends its line."""
        number = _header(head, "CSeq")
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        text = f"RTSP/1.0 {status}\r\nCSeq: {number}\r\nSession: 1\r\n{headers}{length}\r\n{body}"
        self.writer.write(text.encode())

    def agree(self, track: int, wanted: str) -> str:
        """Choose how a track is sent; return it as the header Transport says it."""
        channel = int(re.findall(r"interleaved=(\d+)", wanted)[0])
        self._channels[track] = channel
        return f"RTP/AVP/TCP;unicast;interleaved={channel}-{channel + 1}"

    def interleaved(self, packet: Packet) -> bytes:
        """Return one packet as it is sent; nothing if the client has not asked for its track."""
        if packet.track not in self._channels:
            return b""
        channel = self._channels[packet.track] + packet.control
        return b"$" + bytes([channel]) + len(packet.data).to_bytes(2, "big") + packet.data

    def send(self, packet: Packet) -> None:
        """Send one packet, if the client has asked for its track."""
        self.writer.write(self.interleaved(packet))

    async def play(self) -> None:
        """Send all packets, each when it is due."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        with suppress(OSError):  # the client may have gone
            for packet in self.packets:
                await asyncio.sleep(packet.due_s - (loop.time() - began_s))
                self.send(packet)
                await self.writer.drain()
        self.played.set()


def _header(head: str, name: str) -> str:
    return str(re.findall(rf"^{name}: *(.*?)\r?$", head, re.MULTILINE)[0])


async def _request(reader: asyncio.StreamReader) -> str | None:
    """Return the next request's head; skip what the client reports about reception."""
    while first := await reader.read(1):
        if first == b"$":
            head = await reader.readexactly(3)
            await reader.readexactly(int.from_bytes(head[1:], "big"))
        else:
            return (first + await reader.readuntil(b"\r\n\r\n")).decode()
    return None


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera that is being served."""

    url: str
    played: asyncio.Event
    """Set when a client has been sent the whole clip; the connection stays."""


@asynccontextmanager
async def serving(description: str, packets: Iterable[Packet]) -> AsyncIterator[Camera]:
    """Serve a clip on a free loopback port, from its beginning to each client."""
    played, sessions = asyncio.Event(), set[Session]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = Session(writer, description, packets, played)
        sessions.add(session)
        await session.hold(reader)
        sessions.discard(session)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield Camera(f"rtsp://127.0.0.1:{server.sockets[0].getsockname()[1]}/clip", played)
    finally:
        server.close()
        for session in sessions:
            session.close()
        await server.wait_closed()
