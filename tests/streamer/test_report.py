"""What a running node says of itself: metrics and health over HTTP, info and stats over MQTT."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from streamer import report
from streamer.broker import Broker
from streamer.config import Metrics as Settings
from streamer.config import Video
from streamer.endpoint import opened
from streamer.event import EmotionEvent
from streamer.faces import Place
from streamer.flow import VideoFrame
from streamer.node import Node
from streamer.reading import Reading
from streamer.shedding import Level
from streamer.sinks.mqtt import MqttSink
from streamer.stats import CameraStats, NodeInfo, NodeStats
from tests.media import write_media
from tests.rtsp import RtspServer
from tests.streamer.broker import Attempts, Mosquitto, free_port, listening
from tests.streamer.bundles import policy_for, variant
from tests.streamer.events import SOON
from tests.streamer.pages import get, scrape
from tests.streamer.test_node import Events, node_of

ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def running(node: Node, sink: MqttSink | None = None) -> AsyncIterator[int]:
    """Run a node; yield the port where it says how it is doing."""
    with opened(Settings(port=free_port())) as node.listener:
        assert node.listener
        task = asyncio.create_task(node.run(Events(), sink))
        try:
            yield node.listener.getsockname()[1]
        finally:
            node.stop()
            await task


async def until_answered(port: int, path: str, status: int) -> str:
    """Ask until a page has this status; return what it says."""
    while True:
        got, text = await asyncio.to_thread(get, port, path)
        if got == status:
            return text
        await asyncio.sleep(0.05)


async def until_read(port: int, there: Callable[[Reading], object]) -> Reading:
    """Scrape until the metrics are so."""
    while True:
        reading = await asyncio.to_thread(scrape, port)
        if there(reading):
            return reading
        await asyncio.sleep(0.05)


@pytest.mark.timeout(90)
async def test_a_process_tells_how_its_camera_is_doing(
    talk: Path, broker: Broker, tmp_path: Path
) -> None:
    server, port = RtspServer(talk, ("admin", "s3cret")), free_port()
    settings = {
        "node": "attic",
        "faces": {"model": "haar"},
        "windows": SOON,
        "transcript": {"model": "none"},
        "cameras": [{"name": "door", "url": server.with_login("admin", "s3cret")}],
        "mqtt": {"url": f"mqtt://{broker.address}", "topic_prefix": broker.prefix},
        "metrics": {"port": port},
    }
    config = tmp_path / "c.yaml"
    await asyncio.to_thread(config.write_text, json.dumps(settings))
    command = [sys.executable, "-m", "streamer.cli", "run", str(config)]
    async with listening(broker, broker.topic("attic", "+", "event"), qos=1) as client:
        process = await asyncio.to_thread(
            subprocess.Popen, command, stderr=subprocess.PIPE, text=True, cwd=ROOT
        )
        event = EmotionEvent.model_validate_json(await newest(client))
        reading = await until_read(port, lambda r: r.total("credence_events_total") >= 2)
        assert up(reading) == 1
        assert reading.total("credence_reconnects_total", camera="door") == 0
        assert reading.total("credence_windows_total") >= 2
        assert reading.total("credence_event_age_seconds_count") >= 2
        assert reading.total("credence_engine_seconds_count", engine="face") > 0
        assert reading.value("credence_broker_connected") == 1
        assert (reading.value("process_resident_memory_bytes") or 0) > 50e6
        assert await asyncio.to_thread(get, port, "/healthz") == (200, "ok\n")
        assert await asyncio.to_thread(get, port, "/readyz") == (200, "ok\n")
        await asyncio.to_thread(server.kill)
        await until_read(port, lambda r: up(r) == 0)
        assert await asyncio.to_thread(get, port, "/readyz") == (200, "ok\n")
        await asyncio.to_thread(server.start)
        await until_read(port, lambda r: up(r) == 1 and r.total("credence_reconnects_total") == 1)
        _, page = await asyncio.to_thread(get, port, "/metrics")
    async with listening(broker, broker.topic("attic", "info")) as client:
        said = await newest(client)
        info = NodeInfo.model_validate_json(said)
    async with listening(broker, broker.topic("attic", "stats")) as client:
        stats = NodeStats.model_validate_json(await newest(client))
    with closing(socket.create_connection(("127.0.0.1", port))):  # who asks nothing holds nobody
        process.send_signal(signal.SIGTERM)
        _, stderr = await asyncio.to_thread(process.communicate, timeout=5)
    server.close()
    assert process.returncode == 0
    assert (info.node, info.cameras) == ("attic", ("door",))
    assert {kind: one.hash for kind, one in info.engines.items()} == event.data.engines
    assert info.policy.hash == event.data.policy
    assert info.engines["face"].runs_on.startswith("onnxruntime")
    assert list(stats.cameras) == ["door"]
    assert f"at=http://127.0.0.1:{port}/metrics" in stderr
    assert "s3cret" not in f"{page}{said!r}{stats}{stderr}"


def up(reading: Reading) -> int:
    return reading.total("credence_camera_up", camera="door")


async def newest(client: aiomqtt.Client) -> bytes:
    message = await anext(aiter(client.messages))
    assert isinstance(message.payload, bytes)
    return message.payload


@pytest.mark.timeout(60)
async def test_stats_follow_events_and_info_follows_swaps(
    servers: list[RtspServer],
    broker: Broker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def prepare() -> tuple[str, str]:
        face = variant(tmp_path / "face-2", "face", name="other")
        return face, policy_for(tmp_path / "policy-2", face=face)

    monkeypatch.setattr(report, "STATS_S", 0.2)
    face, policy = await asyncio.to_thread(prepare)
    mqtt = {"url": f"mqtt://{broker.address}", "swap_from": str(tmp_path)}
    node = await node_of({"mqtt": mqtt}, door=servers[0].url)
    topics = broker.topic("attic", "info"), broker.topic("attic", "stats")
    async with (
        listening(broker, *topics) as client,
        running(node, MqttSink(broker, "attic")),
    ):
        stats: list[NodeStats] = []
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            if str(message.topic).endswith("stats"):
                stats.append(NodeStats.model_validate_json(message.payload))
                if stats[-1].cameras["door"].events and not stats[-2].cameras["door"].events:
                    wanted = json.dumps({"face": "face-2", "policy": "policy-2"})
                    await client.publish(broker.topic("attic", "engines", "swap"), wanted)
                continue
            info = NodeInfo.model_validate_json(message.payload)
            if info.engines["face"].hash == face:
                break
        async for message in client.messages:  # those after the swap are judged and timed, too
            if str(message.topic).endswith("stats"):
                break
    assert info.policy.hash == policy
    first, last = stats[0].cameras["door"], stats[-1].cameras["door"]
    assert (first.events, first.age_last_s, first.age_p99_s) == (0, None, None)
    assert last.state == "streaming"
    assert last.events >= sum(last.windows.values()) >= 1
    assert last.age_last_s is not None
    assert last.age_p99_s is not None
    assert 0 <= last.age_last_s <= last.age_p99_s
    assert (last.reconnects, last.dropped) == (0, {"overload": 0, "undecoded": 0})
    assert stats[0].cpu is None
    assert (stats[-1].cpu or 0) > 0
    assert (stats[-1].memory_bytes or 0) > 50e6
    assert stats[-1].uptime_s > stats[0].uptime_s


@pytest.mark.timeout(30)
async def test_ready_once_the_camera_is_known_and_the_broker_is_there(
    mosquitto: Mosquitto,
) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as mute:
        mute_port = mute.getsockname()[1]
        node = await node_of(door=f"rtsp://127.0.0.1:{mute_port}/x")
        sink = MqttSink(mosquitto.address, "attic", delays=Attempts())
        async with running(node, sink) as port:
            broker, camera = "the broker is not connected", "camera door: it is tried for the first"
            said = await until_answered(port, "/readyz", 503)
            assert camera in said
            assert broker in said
            assert await asyncio.to_thread(get, port, "/healthz") == (200, "ok\n")
            await asyncio.to_thread(mosquitto.start)
            while (said := (await asyncio.to_thread(get, port, "/readyz"))[1]) != "ok\n":
                assert camera in said or broker in said
                await asyncio.sleep(0.05)
            reading = await asyncio.to_thread(scrape, port)
            assert up(reading) == 0
            assert node.metrics.cameras["door"].state in ("connecting", "backing_off")


@pytest.mark.timeout(30)
async def test_a_thread_that_is_stuck_is_not_healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    stuck = threading.Event()

    def find(_: Any) -> list[Any]:
        stuck.wait(20)
        return []

    monkeypatch.setattr(report, "STUCK_S", 0.2)
    video = {"sample_every_s": 0.02}
    node = await node_of({"video": video}, door="lavfi:testsrc=size=64x48:rate=50")
    monkeypatch.setattr(node.finders[0], "find", find)
    async with running(node) as port:
        said = await until_answered(port, "/healthz", 503)
        assert said.startswith("the thread 'engines 1' has been busy with one call for ")
        reading = await until_read(port, lambda r: r.total("credence_media_dropped_total"))
        assert reading.by("reason", "credence_media_dropped_total", camera="door") == {
            "overload": reading.total("credence_media_dropped_total"),
            "undecoded": 0,
        }
        stuck.set()
        await until_answered(port, "/healthz", 200)


@pytest.mark.timeout(30)
async def test_a_port_in_use_does_not_keep_a_node_from_running(tmp_path: Path) -> None:
    clip, out = write_media(tmp_path / "a.mp4", seconds=0.5), tmp_path / "events.jsonl"
    config = tmp_path / "c.yaml"
    camera = {"name": "a", "url": str(clip)}
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = other.getsockname()[1]
        settings = {"cameras": [camera], "metrics": {"port": port}, "faces": {"model": "haar"}}
        await asyncio.to_thread(config.write_text, json.dumps(settings))
        command = [sys.executable, "-m", "streamer.cli", "run", str(config), "--output", str(out)]
        done = await asyncio.to_thread(
            subprocess.run, command, check=False, capture_output=True, text=True, cwd=ROOT
        )
    assert done.returncode == 0
    assert (
        f"metrics are not served at 127.0.0.1 port {port}: another program uses it" in done.stderr
    )
    assert "camera a: the file has ended" in done.stderr


@pytest.mark.timeout(30)
async def test_a_node_that_is_too_slow_says_how_much_it_leaves_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def slow(_: VideoFrame) -> list[Place]:
        time.sleep(0.2)
        return []

    def leaves_out_pictures(reading: Reading) -> object:
        thinned = reading.total("credence_shed_total", camera="door", reason="sampling")
        return thinned and reading.value("credence_shedding") == Level.MEDIA

    often = {"video": Video(sample_every_s=0.02)}
    node = await node_of(often, door="lavfi:testsrc=size=64x48:rate=50")
    monkeypatch.setattr(node.finders[0], "find", slow)
    async with running(node) as port:
        reading = await until_read(port, leaves_out_pictures)
    stats = CameraStats.of(node.metrics.cameras["door"], reading)
    assert stats.shed.keys() == {"ambient", "sampling", "transcript"}
    assert stats.shed["sampling"] > 0
    assert stats.dropped.keys() == {"overload", "undecoded"}
