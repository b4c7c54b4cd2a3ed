"""A private RTSP server that plays a clip for ever, and can be as bad as a camera.

RTP is made by PyAV's muxer in memory and sent over TCP, interleaved, or over UDP.
"""

import asyncio
import hashlib
import re
import socket
import threading
from base64 import b64decode, b64encode
from collections.abc import Coroutine, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import av

from tests.streamer.broker import free_port

T = TypeVar("T")

_NONCE = "f00dcafe"


class RtspServer:
    """Serves one clip (H.264 with AAC, Opus or PCMU) at `url` from a thread of its own."""

    def __init__(self, clip: Path, login: tuple[str, str] | None = None, scheme: str = "") -> None:
        self.clip, self.login, self.scheme = clip, login, scheme or "Digest"
        self.port = free_port()
        self.stalled = threading.Event()
        """While set, connections stay open and nothing comes."""
        self.transports: list[str] = []
        """What clients have asked for."""
        self._tasks: set[asyncio.Task[Any]] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.start()

    @property
    def url(self) -> str:
        """Its address without a login."""
        return f"rtsp://127.0.0.1:{self.port}/clip"

    def with_login(self, user: str, password: str) -> str:
        return self.url.replace("//", f"//{user}:{password}@")

    def start(self) -> None:
        """Listen, on the same port each time."""

        async def listen() -> None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

        self._run(listen())

    def kill(self) -> None:
        """Drop every connection and refuse new ones."""

        async def drop() -> None:
            if self._server:
                self._server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

        self._run(drop())

    def close(self) -> None:
        self.kill()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(5)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        session = _Session(self, writer)
        try:
            while (head := await _request(reader)) is not None:
                await session.answer(head)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client has gone, or a test drops it
        finally:
            session.close()
            writer.close()
            self._tasks.discard(task)


@dataclass(eq=False)
class _Session:
    server: RtspServer
    writer: asyncio.StreamWriter
    ways: dict[int, "_Way"] = field(default_factory=dict)
    player: "asyncio.Task[None] | None" = None

    async def answer(self, head: str) -> None:
        method, url = head.split(" ")[:2]
        if not self._may(head, method):
            challenge = f'{self.server.scheme} realm="camera"'
            nonce = f', nonce="{_NONCE}"' if self.server.scheme == "Digest" else ""
            self._reply(head, "401 Unauthorized", f"WWW-Authenticate: {challenge}{nonce}\r\n")
        elif "/clip" not in url:
            self._reply(head, "404 Not Found")
        else:
            self._method(head, method, url)
        await self.writer.drain()

    def _method(self, head: str, method: str, url: str) -> None:
        match method:
            case "OPTIONS":
                self._reply(head, "200 OK", "Public: DESCRIBE, SETUP, PLAY, TEARDOWN\r\n")
            case "DESCRIBE":
                base = f"Content-Base: {url}/\r\nContent-Type: application/sdp\r\n"
                self._reply(head, "200 OK", base, _sdp(self.server.clip))
            case "SETUP":
                track = int(url.rpartition("=")[2])
                wanted = re.findall(r"^Transport: *(.*?)\r?$", head, re.MULTILINE)[0]
                self.server.transports.append(wanted)
                self.ways[track] = way = _Way.open(wanted, self.writer)
                self._reply(head, "200 OK", f"Transport: {way.agreed}\r\n")
            case "PLAY":
                self._reply(head, "200 OK", "Range: npt=0-\r\n")
                self.player = asyncio.create_task(self._play())
            case _:
                self._reply(head, "200 OK")

    def _reply(self, head: str, status: str, headers: str = "", body: str = "") -> None:
        number = re.findall(r"^CSeq: *(\d+)", head, re.MULTILINE)[0]
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        text = f"RTSP/1.0 {status}\r\nCSeq: {number}\r\nSession: 1\r\n{headers}{length}\r\n{body}"
        self.writer.write(text.encode())

    def _may(self, head: str, method: str) -> bool:
        if self.server.login is None or method == "OPTIONS":
            return True
        given = re.findall(r"^Authorization: (\w+) (.*?)\r?$", head, re.MULTILINE)
        if not given or given[0][0] != self.server.scheme:
            return False
        user, password = self.server.login
        if self.server.scheme == "Basic":
            return b64decode(given[0][1]).decode() == f"{user}:{password}"
        said = dict(re.findall(r'(\w+)="([^"]*)"', given[0][1]))
        right = ":".join(
            [_md5(f"{user}:camera:{password}"), _NONCE, _md5(f"{method}:{said['uri']}")]
        )
        return bool(said["response"] == _md5(right))

    async def _play(self) -> None:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        for at_s, track, data in _rtp(self.server.clip):
            await asyncio.sleep(max(0.0, at_s - (loop.time() - began_s)))
            if track in self.ways and not self.server.stalled.is_set():
                self.ways[track].send(data)

    def close(self) -> None:
        if self.player:
            self.player.cancel()
        for way in self.ways.values():
            way.close()


@dataclass
class _Way:
    """How one track goes to a client."""

    agreed: str
    channel: int
    writer: asyncio.StreamWriter
    sockets: tuple[socket.socket, ...] = ()

    @classmethod
    def open(cls, wanted: str, writer: asyncio.StreamWriter) -> "_Way":
        if "TCP" in wanted:
            channel = int(re.findall(r"interleaved=(\d+)", wanted)[0])
            return cls(f"RTP/AVP/TCP;unicast;interleaved={channel}-{channel + 1}", channel, writer)
        sockets = []
        for port in re.findall(r"client_port=(\d+)-(\d+)", wanted)[0]:
            sockets.append(s := socket.socket(type=socket.SOCK_DGRAM))
            s.bind(("127.0.0.1", 0))
            s.connect(("127.0.0.1", int(port)))
        ours = "-".join(str(s.getsockname()[1]) for s in sockets)
        return cls(f"{wanted};server_port={ours}", 0, writer, tuple(sockets))

    def send(self, data: bytes) -> None:
        control = 200 <= data[1] <= 204
        if self.sockets:
            with suppress(OSError):  # the client may have gone
                self.sockets[control].send(data)
        else:
            head = b"$" + bytes([self.channel + control]) + len(data).to_bytes(2, "big")
            self.writer.write(head + data)

    def close(self) -> None:
        for s in self.sockets:
            s.close()


async def _request(reader: asyncio.StreamReader) -> str | None:
    """Return the next request's head; skip what the client reports about reception."""
    while first := await reader.read(1):
        if first == b"$":
            head = await reader.readexactly(3)
            await reader.readexactly(int.from_bytes(head[1:], "big"))
        else:
            return (first + await reader.readuntil(b"\r\n\r\n")).decode()
    return None


class _Packets:
    """What a muxer writes, packet by packet."""

    def __init__(self) -> None:
        self.waiting: list[bytes] = []

    def write(self, data: bytes) -> int:
        self.waiting.append(bytes(data))
        return len(data)


def _rtp(clip: Path) -> Iterator[tuple[float, int, bytes]]:
    """Yield (when, track, packet) of the clip, played again and again."""
    muxers: dict[int, tuple[Any, Any, _Packets]] = {}
    offset_s = 0.0
    while True:
        with av.open(str(clip)) as given:
            for stream in given.streams:
                if stream.index not in muxers:
                    made = _Packets()
                    muxer = av.open(made, "w", format="rtp", options={"packetsize": "1400"})
                    muxers[stream.index] = muxer, muxer.add_stream_from_template(stream), made
            timed = [packet for packet in given.demux() if packet.dts is not None]
            for packet in sorted(timed, key=_when_s):
                track = packet.stream.index
                muxer, packet.stream, made = muxers[track]
                shift = round(offset_s / packet.time_base)
                packet.pts, packet.dts = (packet.pts or 0) + shift, (packet.dts or 0) + shift
                at_s = _when_s(packet)
                muxer.mux(packet)
                for data in made.waiting:
                    yield at_s, track, data
                made.waiting.clear()
            offset_s += (given.duration or 0) / av.time_base


def _when_s(packet: Any) -> float:
    return float(packet.dts * packet.time_base)


def _sdp(clip: Path) -> str:
    lines = ["v=0", "o=- 0 0 IN IP4 127.0.0.1", "s=clip", "c=IN IP4 127.0.0.1", "t=0 0"]
    with av.open(str(clip)) as container:
        for stream in container.streams:
            described = _described(stream.codec_context)
            number = described[0].split()[-1]
            lines += [described[0], f"a=rtpmap:{number} {described[1]}"]
            lines += [f"a=fmtp:{number} {described[2]}"] if described[2] else []
            lines += [f"a=control:track={stream.index}"]
    return "\r\n".join(lines) + "\r\n"


def _described(codec: Any) -> tuple[str, str, str]:
    extra = bytes(codec.extradata or b"")
    match codec.name:
        case "h264":
            sets = ",".join(b64encode(unit).decode() for unit in _parameter_sets(extra))
            more = f"packetization-mode=1;sprop-parameter-sets={sets}"
            return "m=video 0 RTP/AVP 96", "H264/90000", more
        case "aac":
            more = "streamtype=5;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3"
            rtpmap = f"MPEG4-GENERIC/{codec.sample_rate}/{codec.layout.nb_channels}"
            return "m=audio 0 RTP/AVP 97", rtpmap, f"{more};config={extra.hex()}"
        case "opus" | "libopus":
            return "m=audio 0 RTP/AVP 97", "opus/48000/2", ""
        case "pcm_mulaw":
            return "m=audio 0 RTP/AVP 0", "PCMU/8000", ""
    raise ValueError(codec.name)


def _parameter_sets(avcc: bytes) -> Iterator[bytes]:
    at, count = 6, avcc[5] & 31
    for _ in range(2):
        for _ in range(count):
            size = int.from_bytes(avcc[at : at + 2], "big")
            yield avcc[at + 2 : at + 2 + size]
            at += 2 + size
        count, at = avcc[at], at + 1


def _md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()
