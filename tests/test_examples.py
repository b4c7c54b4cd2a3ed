"""Examples run as their reader would run them."""

import asyncio
import sys
from pathlib import Path

import pytest

from streamer.sinks.mqtt import MqttSink
from tests.streamer.broker import Mosquitto, free_port, running
from tests.streamer.events import event_of

SUBSCRIBE = Path(__file__).parents[1] / "examples/subscribe.py"


async def test_subscribe_prints_each_event_once(tmp_path: Path) -> None:
    mosquitto = Mosquitto(tmp_path, login=("ada", "p@ss")).start()
    url = f"mqtt://ada:p%40ss@127.0.0.1:{mosquitto.port}"
    example = await _start(url, "--count", "2")
    assert example.stderr is not None
    assert await example.stderr.readline() == b"listening\n"
    sink = MqttSink(mosquitto.address, "lab")
    async with running(sink.run()):
        for event in (
            event_of(n=1),
            event_of(n=1),
            event_of(n=2, trusted=False, reason="uncertified"),
        ):
            await sink.put(event)
        printed, complaints = await example.communicate()
    mosquitto.kill()
    assert printed.decode().splitlines() == [
        "door happiness 0.9 trusted",
        "door happiness 0.9 not trusted (uncertified)",
    ]
    assert (example.returncode, complaints) == (0, b"")


async def test_subscribe_says_that_nobody_is_there() -> None:
    example = await _start(f"mqtt://127.0.0.1:{free_port()}")
    _, complaints = await example.communicate()
    assert example.returncode == 1
    assert b"refused; is a broker running there" in complaints
    assert b"Traceback" not in complaints


@pytest.mark.parametrize("url", ["foo", "localhost:1883", "http://localhost", "mqtt://"])
async def test_subscribe_says_what_is_no_broker_address(url: str) -> None:
    printed, complaints = await (await _start(url)).communicate()
    said = b"give the broker as mqtt://[user:password@]host[:port], or mqtts://\n"
    assert (printed, complaints) == (b"", said)


async def _start(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, str(SUBSCRIBE), *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
