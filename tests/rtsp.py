"""A private RTSP server that plays a clip for ever, and can be as bad as a camera."""

import asyncio
import hashlib
import re
import socket
import threading
from base64 import b64decode
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from streamer.demo.rtp import Packet, describe, packets
from streamer.demo.rtsp import Session
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
        self.change: Callable[[Packet], Packet | None] = lambda packet: packet
        """What is sent instead of each packet; None leaves it out."""
        self.transports: list[str] = []
        """What clients have asked for."""
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
                for listener in self._server.sockets:
                    self._loop.remove_reader(listener.fileno())
                await asyncio.sleep(0)  # asyncio would leak whom it has let in while it closes
                await asyncio.sleep(0)
                self._server.close()
            # All, as somebody may be about to be let in.
            while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
                await asyncio.sleep(0)  # a task that has not begun would close nothing
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

        self._run(drop())

    def close(self) -> None:
        self.kill()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(5)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.CancelledError):  # a test drops the client
            await _Session(self, writer).hold(reader)


class _Session(Session):
    """Also wants a login, also sends over UDP, and may stall."""

    def __init__(self, server: RtspServer, writer: asyncio.StreamWriter) -> None:
        super().__init__(writer, describe(server.clip), packets(server.clip, rounds=None))
        self._server = server
        self._sockets: dict[int, list[socket.socket]] = {}

    def close(self) -> None:
        super().close()
        self.writer.transport.abort()  # who has stopped reading would keep it open
        for pair in self._sockets.values():
            for s in pair:
                s.close()

    def answer(self, head: str) -> None:
        method, url = head.split(" ")[:2]
        if not self._may(head, method):
            challenge = f'{self._server.scheme} realm="camera"'
            nonce = f', nonce="{_NONCE}"' if self._server.scheme == "Digest" else ""
            self.reply(head, "401 Unauthorized", f"WWW-Authenticate: {challenge}{nonce}\r\n")
        elif "/clip" not in url:
            self.reply(head, "404 Not Found")
        else:
            super().answer(head)

    def agree(self, track: int, wanted: str) -> str:
        self._server.transports.append(wanted)
        if "TCP" in wanted:
            return super().agree(track, wanted)
        self._sockets[track] = pair = []
        for port in re.findall(r"client_port=(\d+)-(\d+)", wanted)[0]:
            pair.append(s := socket.socket(type=socket.SOCK_DGRAM))
            s.bind(("127.0.0.1", 0))
            s.connect(("127.0.0.1", int(port)))
        return f"{wanted};server_port={'-'.join(str(s.getsockname()[1]) for s in pair)}"

    def send(self, packet: Packet) -> None:
        changed = self._server.change(packet)
        if changed is None or self._server.stalled.is_set():
            return
        packet = changed
        if packet.track in self._sockets:
            with suppress(OSError):  # the client may have gone
                self._sockets[packet.track][packet.control].send(packet.data)
        else:
            super().send(packet)

    def _may(self, head: str, method: str) -> bool:
        if self._server.login is None or method == "OPTIONS":
            return True
        given = re.findall(r"^Authorization: (\w+) (.*?)\r?$", head, re.MULTILINE)
        if not given or given[0][0] != self._server.scheme:
            return False
        user, password = self._server.login
        if self._server.scheme == "Basic":
            return b64decode(given[0][1]).decode() == f"{user}:{password}"
        said = dict(re.findall(r'(\w+)="([^"]*)"', given[0][1]))
        right = ":".join(
            [_md5(f"{user}:camera:{password}"), _NONCE, _md5(f"{method}:{said['uri']}")]
        )
        return bool(said["response"] == _md5(right))


def _md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()
