"""A private Mosquitto, and a peer between it and a client that can be as bad as a network."""

import asyncio
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager
from itertools import repeat
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from streamer.broker import Broker

V5_REFUSED_AS_311 = b"\x20\x02\x00\x01"
V5_REFUSED_AS_5 = b"\x20\x03\x00\x84\x00"
V5_HUNG_UP_ON = b""

CONFIG = """
listener {port} 127.0.0.1
user root
log_dest stderr
log_type information
connection_messages false
"""


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def need(command: str) -> None:
    """Skip the test where a command is not installed."""
    if shutil.which(command) is None:
        pytest.skip(f"{command} is not installed")


class Mosquitto:
    """A real broker on a loopback port of its own; `kill` is SIGKILL."""

    def __init__(
        self, folder: Path, login: tuple[str, str] | None = None, settings: str = ""
    ) -> None:
        need("mosquitto")
        self.port = free_port()
        self._login = login or (None, None)
        self._config = folder / "mosquitto.conf"
        access = "allow_anonymous true\n"
        if login is not None:
            need("mosquitto_passwd")
            passwords = folder / "passwords"
            subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, *login], check=True)
            access = f"allow_anonymous false\npassword_file {passwords}\n"
        self._config.write_text(CONFIG.format(port=self.port) + access + settings)
        self._process: subprocess.Popen[str] | None = None

    @property
    def address(self) -> Broker:
        """With the right login."""
        username, password = self._login
        return Broker("127.0.0.1", self.port, username=username, password=password)

    def start(self) -> "Mosquitto":
        self._process = subprocess.Popen(
            ["mosquitto", "-c", self._config], stderr=subprocess.PIPE, text=True
        )
        running = threading.Event()
        threading.Thread(target=self._read, args=(self._process, running), daemon=True).start()
        assert running.wait(5), "mosquitto did not start"
        return self

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def save(self, store: Path) -> None:
        """Let it write its store, and wait until it has."""
        assert self._process is not None
        self._process.send_signal(signal.SIGUSR1)
        until_s = time.monotonic() + 5
        while not store.exists():
            assert time.monotonic() < until_s, "mosquitto did not save"
            time.sleep(0.01)

    @staticmethod
    def _read(process: "subprocess.Popen[str]", running: threading.Event) -> None:
        assert process.stderr is not None
        with process.stderr:
            for line in process.stderr:
                if line.rstrip().endswith("running"):
                    running.set()


class Proxy:
    """Stands before a broker: may refuse MQTT 5, swallow acknowledgements, cut, or be away."""

    def __init__(
        self, upstream: int, refuse_v5: bytes | None = None, prefix: str = "credence"
    ) -> None:
        self.port = free_port()
        self.muted = False
        """What the broker answers is lost."""
        self.levels: list[int] = []
        """The protocol level of every CONNECT, in order."""
        self._upstream, self._refuse_v5, self._prefix = upstream, refuse_v5, prefix
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> Broker:
        return Broker("127.0.0.1", self.port, prefix=self._prefix)

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def cut(self) -> None:
        """Drop every connection, and refuse new ones until opened again."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._relay(reader, writer)
        except* (OSError, asyncio.CancelledError):
            pass  # cut, by a test or by a broker's death
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connect = await reader.read(4096)
        level = connect[connect.index(b"MQTT") + 4]
        self.levels.append(level)
        if level == 5 and self._refuse_v5 is not None:
            writer.write(self._refuse_v5)
            await writer.drain()
            return
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._upstream)
        up_writer.write(connect)
        try:
            async with asyncio.TaskGroup() as tasks:
                down = tasks.create_task(self._copy(up_reader, writer, mutable=True))
                await self._copy(reader, up_writer)
                down.cancel()
        finally:
            up_writer.close()

    async def _copy(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, mutable: bool = False
    ) -> None:
        while data := await reader.read(65536):
            if not (mutable and self.muted):
                writer.write(data)
                await writer.drain()
        writer.close()


class Attempts:
    """Short delays that tell when an attempt has failed."""

    def __init__(self) -> None:
        self.failed = asyncio.Event()

    def __call__(self) -> Iterator[float]:
        for delay_s in repeat(0.01):
            self.failed.set()
            yield delay_s


@asynccontextmanager
async def listening(broker: Broker, *filters: str, qos: int = 0) -> AsyncIterator[aiomqtt.Client]:
    """A plain subscriber. At QoS 0 the broker hands over what it gets before it acknowledges it."""
    protocol = aiomqtt.ProtocolVersion.V5
    async with aiomqtt.Client(broker.host, broker.port, protocol=protocol) as client:
        for topic in filters:
            await client.subscribe(topic, qos=qos)
        yield client


@asynccontextmanager
async def running(work: Coroutine[Any, Any, None]) -> AsyncIterator["asyncio.Task[None]"]:
    """Run beside a test and cancel it at the end."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])
