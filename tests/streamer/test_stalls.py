"""Cameras that stop sending picture, sound or both, and come back: states, statuses, metrics."""

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import repeat
from pathlib import Path

import aiomqtt
import pytest
from pydantic import SecretStr

from streamer.addresses import Address
from streamer.broker import Broker
from streamer.config import Camera, Config, Engines, Faces, Transcript
from streamer.knock import returned
from streamer.node import Node, open_node
from streamer.running import Waiting
from streamer.sinks.mqtt import MqttSink
from tests.media import AS_CAMERAS_DO, write_media
from tests.rtsp import RtspServer
from tests.streamer.broker import free_port

pytestmark = [pytest.mark.alone, pytest.mark.timeout(60)]
PICTURE, SOUND = 0, 1


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RtspServer]:
    clip = write_media(tmp_path / "a.mov", seconds=2, options=AS_CAMERAS_DO)
    server = RtspServer(clip, ("admin", "s3cret"))
    yield server
    server.close()


class Statuses:
    """What is retained of one camera: the text, and its state."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client
        self.all: list[tuple[str, str]] = []
        self.since: list[str] = []

    async def until(self, state: str, beginning: str) -> None:
        """Wait for the next status with this state and text."""
        async for message in self._client.messages:
            assert isinstance(message.payload, bytes)
            assert message.properties is not None
            facts = dict(message.properties.json()["UserProperty"])  # type: ignore[no-untyped-call]
            self.all.append((facts["state"], message.payload.decode()))
            self.since.append(facts["since"])
            if facts["state"] == state and self.all[-1][1].startswith(beginning):
                return

    @property
    def states(self) -> list[str]:
        """The states one after the other."""
        found = [state for state, _ in self.all]
        return [now for before, now in zip([None, *found], found, strict=False) if now != before]


@asynccontextmanager
async def node_of(
    broker: Broker, url: str, waiting: Waiting
) -> AsyncIterator[tuple[Node, Statuses]]:
    """Run a node with one camera that nothing judges, and listen to its status."""
    config = Config(
        node="attic",
        cameras=(Camera(name="door", url=SecretStr(url)),),
        faces=Faces(model="haar"),
        engines=Engines(voice="none", text="none", policy="none"),
        transcript=Transcript(model="none"),
    )
    node = await asyncio.to_thread(open_node, config)
    node.waiting = waiting
    v5 = aiomqtt.ProtocolVersion.V5
    async with aiomqtt.Client(broker.host, broker.port, protocol=v5) as client:
        await client.subscribe(broker.topic("attic", "door", "status"), qos=1)
        running = asyncio.create_task(node.run(None, MqttSink(broker, "attic")))
        try:
            yield node, Statuses(client)
        finally:
            node.stop()
            await running


WAITING = Waiting(lambda: repeat(0.1), timeout_s=2.0, stall_s=0.8)


def withhold(server: RtspServer, track: int | None) -> None:
    server.change = lambda packet: None if packet.track == track else packet


def reading(node: Node, name: str, **labels: str) -> int:
    return node.metrics.reading().total(name, camera="door", **labels)


@pytest.mark.parametrize(
    ("track", "says"),
    [
        (PICTURE, "online: no picture for 1 s; sound goes on"),
        (SOUND, "online: no sound for 1 s; the picture goes on"),
    ],
)
async def test_one_medium_stalls_and_comes_back_over_the_same_connection(
    broker: Broker, server: RtspServer, track: int, says: str
) -> None:
    async with node_of(broker, server.with_login("admin", "s3cret"), WAITING) as (node, door):
        await door.until("streaming", "online")
        await asyncio.sleep(0.5)
        withhold(server, track)
        await door.until("stalled", says)
        state = await asyncio.to_thread(reading, node, "credence_camera_state", state="stalled")
        up = await asyncio.to_thread(reading, node, "credence_camera_up")
        assert (state, up) == (1, 1)
        withhold(server, None)
        await door.until("streaming", "online")
        assert await asyncio.to_thread(reading, node, "credence_reconnects_total") == 0
    assert door.states == ["connecting", "streaming", "stalled", "streaming"]
    assert door.since == sorted(door.since)


async def test_one_that_stays_away_is_connected_again(broker: Broker, server: RtspServer) -> None:
    waiting = replace(WAITING, away_s=1.6)
    async with node_of(broker, server.with_login("admin", "s3cret"), waiting) as (_, door):
        await door.until("streaming", "online")
        await asyncio.sleep(0.5)
        withhold(server, PICTURE)
        await door.until("backing_off", "offline: its picture has not come back")
        withhold(server, None)
        await door.until("streaming", "online")
    expected = ["connecting", "streaming", "stalled", "backing_off", "connecting", "streaming"]
    assert door.states == expected


async def test_silence_is_seen_before_it_is_a_loss(
    broker: Broker, server: RtspServer, capsys: pytest.CaptureFixture[str]
) -> None:
    async with node_of(broker, server.with_login("admin", "s3cret"), WAITING) as (node, door):
        await door.until("streaming", "online")
        await asyncio.sleep(0.5)
        server.stalled.set()
        await door.until("stalled", "offline: nothing has come for 1 s")
        assert await asyncio.to_thread(reading, node, "credence_camera_up") == 0
        await door.until("backing_off", "offline: the connection was lost (nothing came any more)")
        server.stalled.clear()
        await door.until("streaming", "online")
    said = capsys.readouterr().out
    for state in ("connecting", "online", "stalled", "backing off", "ended"):
        assert f"camera door: {state}" in said


async def test_who_is_not_let_in_is_asked_once(
    broker: Broker, server: RtspServer, capsys: pytest.CaptureFixture[str]
) -> None:
    url = server.with_login("admin", "s3cret2")
    async with node_of(broker, url, WAITING) as (_, door):
        await door.until("backing_off", "offline: wrong user name or password; ")
        await asyncio.sleep(1.0)
    assert capsys.readouterr().out.count("camera door: connecting") == 1


def test_a_door_that_was_shut_and_opens_is_noticed(server: RtspServer) -> None:
    server.kill()
    found = returned(Address.parse(server.url), threading.Event())
    starting = threading.Timer(0.6, server.start)
    starting.start()
    assert list(found) == [None]
    starting.join()


def test_a_door_that_stands_open_is_no_news(server: RtspServer) -> None:
    stop = threading.Event()
    threading.Timer(0.8, stop.set).start()
    assert list(returned(Address.parse(server.url), stop)) == []


@pytest.mark.parametrize(
    "url", ["rtsp://no-such-host.invalid/x", "webcam:99", "lavfi:sine", f"lavfi:{'s' * 300}"]
)
def test_what_never_comes_is_no_news(url: str) -> None:
    stop = threading.Event()
    threading.Timer(0.6, stop.set).start()
    assert list(returned(Address.parse(url), stop)) == []


def test_knocking_sends_nothing() -> None:
    port = free_port()
    found = returned(Address.parse(f"rtsp://admin:s3cret@127.0.0.1:{port}/x"), threading.Event())
    knocking = threading.Thread(target=list, args=(found,))
    knocking.start()
    time.sleep(0.6)  # the door is shut at first
    with socket.create_server(("127.0.0.1", port)) as door:
        caller, _ = door.accept()
        with caller:
            assert caller.recv(1) == b""
    knocking.join()
