"""A broker of the demonstration's own: Mosquitto where it is installed, else one within Python."""

import asyncio
import logging
import os
import shutil
import socket
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

from aiomqtt import ProtocolVersion

from engines.errors import CredenceError
from streamer.broker import Broker

_CONFIG = "listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nlog_dest none\n"
_START_S = 5.0
_POLL_S = 0.02


class NoBrokerError(CredenceError):
    """There is no broker to be had."""

    def __init__(self) -> None:
        super().__init__(
            "the demonstration needs a broker; install mosquitto,"
            " or in Credence's clone: pip install -e '.[demo]'"
        )


class BrokerStartError(CredenceError):
    """Mosquitto is installed, but does not come up."""

    def __init__(self, command: str) -> None:
        super().__init__(f"{command} does not start; try it by hand, or uninstall it")
        self.command = command


def find_mosquitto() -> str | None:
    """Return where Mosquitto is; Debian puts it where only root looks."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    return shutil.which("mosquitto", path=path)


def private_broker(mosquitto: str | None) -> AbstractAsyncContextManager[Broker]:
    """Run a broker on a free loopback port; without a Mosquitto, the embedded one."""
    return _mosquitto(mosquitto) if mosquitto else _embedded()


@asynccontextmanager
async def _mosquitto(command: str) -> AsyncIterator[Broker]:
    broker = Broker("127.0.0.1", _free_port())
    process = await asyncio.create_subprocess_exec(
        command, "-c", "/dev/stdin", stdin=PIPE, stdout=DEVNULL, stderr=DEVNULL
    )
    try:
        assert process.stdin
        with suppress(OSError):  # where it has ended already
            process.stdin.write(_CONFIG.format(port=broker.port).encode())
            process.stdin.close()
            await process.stdin.wait_closed()
        if not await _answers(broker, process):
            raise BrokerStartError(command)
        yield broker
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _answers(broker: Broker, process: asyncio.subprocess.Process) -> bool:
    """Wait until the broker takes connections; return False if it has ended or never does."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_START_S):
            while process.returncode is None:
                with suppress(OSError):
                    _, writer = await asyncio.open_connection(broker.host, broker.port)
                    writer.close()
                    return True
                await asyncio.sleep(_POLL_S)
    return False


@asynccontextmanager
async def _embedded() -> AsyncIterator[Broker]:
    try:
        from amqtt.broker import Broker as Embedded  # noqa: PLC0415 - slow, and seldom needed
    except ImportError as error:
        raise NoBrokerError from error
    logging.getLogger("amqtt").setLevel(logging.CRITICAL)  # it tells every step as a warning
    # It leaves an MQTT 5 client that has a last will without any answer.
    address = Broker("127.0.0.1", _free_port(), newest=ProtocolVersion.V311)
    embedded = Embedded(
        {
            "listeners": {"default": {"type": "tcp", "bind": address.address}},
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {}},
        }
    )
    await embedded.start()
    try:
        yield address
    finally:
        await embedded.shutdown()


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])
