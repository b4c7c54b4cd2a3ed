"""Many cameras in one process, from real servers to a real broker."""

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from streamer.broker import Broker
from streamer.clip import make_clip
from streamer.config import Camera, Config, Faces
from streamer.event import EmotionEvent
from streamer.live import CameraError
from streamer.node import Node, open_node
from streamer.reconnect import Reconnector
from tests.media import AS_CAMERAS_DO, write_media
from tests.rtsp import RtspServer
from tests.streamer.broker import free_port, listening

ROOT = Path(__file__).parents[2]
FACES = Faces(model="haar")


class Events:
    """Keeps events, and lets a test wait for more."""

    def __init__(self) -> None:
        self.all: list[EmotionEvent] = []
        self._more = asyncio.Event()

    def put(self, event: EmotionEvent) -> None:
        self.all.append(event)
        self._more.set()

    def of(self, camera: str) -> list[EmotionEvent]:
        return [event for event in self.all if event.subject == camera]

    async def until(self, there: Callable[[], object]) -> None:
        while not there():
            self._more.clear()
            await self._more.wait()


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("skimage", reason="the portrait comes with scikit-image")
    path: Path = tmp_path_factory.mktemp("talk") / "astronaut.mov"
    make_clip(path, AS_CAMERAS_DO)
    return path


@pytest.fixture
def servers(talk: Path) -> Iterator[list[RtspServer]]:
    running = [RtspServer(talk), RtspServer(talk)]
    yield running
    for server in running:
        server.close()


async def node_of(**urls: str) -> Node:
    cameras = tuple(Camera(name=name, url=SecretStr(url)) for name, url in urls.items())
    config = Config(node="attic", cameras=cameras, faces=FACES)
    node = await asyncio.to_thread(open_node, config)
    node.delays = lambda: repeat(0.1)
    node.timeout_s = 2.0
    return node


@pytest.mark.timeout(60)
async def test_a_killed_camera_comes_back_and_disturbs_nobody(servers: list[RtspServer]) -> None:
    door, attic = servers
    node, events = await node_of(door=door.url, attic=attic.url), Events()
    task = asyncio.create_task(node.run(events, None))
    await events.until(lambda: events.of("door") and events.of("attic"))
    await asyncio.to_thread(door.kill)
    seen, before = len(events.of("attic")), {event.data.window_id for event in events.all}
    await events.until(lambda: len(events.of("attic")) >= seen + 2)
    await asyncio.to_thread(door.start)
    count = len(events.of("door"))
    await events.until(lambda: len(events.of("door")) > count)
    node.stop()
    await task
    again = events.of("door")[count:]
    assert again[0].data.window.start_s < 5  # a new epoch
    assert again[0].data.window_id not in before
    assert again[0].time > events.of("door")[0].time
    for camera in ("door", "attic"):
        assert [int(event.sequence) for event in events.of(camera)] == list(
            range(len(events.of(camera)))
        )


@pytest.mark.timeout(30)
async def test_a_file_ends_and_the_node_with_it(tmp_path: Path) -> None:
    clip = write_media(tmp_path / "a.mp4", seconds=1)
    node = await node_of(file=str(clip), none=str(tmp_path / "none.mp4"))
    await node.run(Events(), None)
    assert [str(error) for error in node.failed] == ["camera none: there is no such file"]


@pytest.mark.timeout(30)
async def test_a_stopped_node_finishes_its_windows(servers: list[RtspServer]) -> None:
    node, events = await node_of(door=servers[0].url), Events()
    task = asyncio.create_task(node.run(events, None))
    await events.until(lambda: events.all)
    servers[0].stalled.set()  # its read blocks now
    await asyncio.sleep(0.2)
    began = time.monotonic()
    node.stop()
    await task
    assert time.monotonic() - began < 1.5


@pytest.mark.timeout(30)
async def test_a_bug_in_one_camera_leaves_the_others(
    servers: list[RtspServer], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    node, events = await node_of(door=servers[0].url, attic=servers[1].url), Events()
    monkeypatch.setattr(node.finders[0], "find", lambda _: 1 / 0)
    task = asyncio.create_task(node.run(events, None))
    await events.until(lambda: events.of("attic"))
    node.stop()
    await task
    assert "camera door: unexpected: ZeroDivisionError" in capsys.readouterr().out


@pytest.mark.timeout(30)
async def test_another_codec_after_a_reconnect_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def clip(sound: str | None) -> Path:
        path = tmp_path / f"{sound}.mov"
        return write_media(path, sound=sound, sound_hz=8000, options=AS_CAMERAS_DO)

    said = ""

    async def until(words: str) -> None:
        nonlocal said
        for _ in range(200):
            said += capsys.readouterr().out
            if words in said:
                return
            await asyncio.sleep(0.05)
        raise AssertionError(said)

    server = RtspServer(clip("aac"))
    node = await node_of(door=server.url)
    task = asyncio.create_task(node.run(None, None))
    await until("aac 8000 Hz")
    for sound, words in (("pcm_mulaw", "pcm_mulaw 8000 Hz"), (None, "it sends no sound")):
        server.clip = clip(sound)
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)
        await until(words)
    node.stop()
    await task
    server.close()
    assert "it has changed, before it sent h264 64x48 at 25/s, aac 8000 Hz" in said
    assert said.count("trying again until it works") == 2


async def test_reconnector_warns_once_and_waits_longer_each_time(
    capsys: pytest.CaptureFixture[str],
) -> None:
    stop, asked, tries = asyncio.Event(), [], iter("aabb")

    def delays() -> Iterator[float]:
        for delay_s in repeat(0.0):
            asked.append(delay_s)
            yield delay_s

    async def session() -> None:
        reason = next(tries, None)
        if reason is None:
            stop.set()
            reason = "b"
        raise CameraError("door", reason)

    await Reconnector(stop, delays).hold(session)
    said = capsys.readouterr().out
    assert (said.count("door: a;"), said.count("door: b;")) == (1, 1)
    assert len(asked) == 5


def credence(*words: str | Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "streamer.cli", *map(str, words)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=ROOT)


def configured(folder: Path, cameras: dict[str, str], mqtt: str = "", prefix: str = "") -> Path:
    config: dict[str, Any] = {
        "node": "attic",
        "faces": {"model": "haar"},
        "cameras": [{"name": name, "url": url} for name, url in cameras.items()],
    }
    if mqtt:
        config["mqtt"] = {"url": mqtt, "topic_prefix": prefix}
    path = folder / "c.yaml"
    path.write_text(json.dumps(config))
    return path


@pytest.mark.timeout(60)
async def test_run_publishes_and_ends_cleanly(
    servers: list[RtspServer], talk: Path, broker: Broker, tmp_path: Path
) -> None:
    server = RtspServer(talk, ("admin", "s3cret"))
    cameras = {
        "door": server.with_login("admin", "s3cret"),
        "attic": servers[0].url,
        "file": str(talk),
        "lost": f"rtsp://admin:s3cret@127.0.0.1:{free_port()}/x",
    }
    config = configured(tmp_path, cameras, f"mqtt://{broker.address}", broker.prefix)
    out = tmp_path / "events.jsonl"
    status = broker.topic("attic", "+", "status")
    seen: dict[str, int] = {}
    said: dict[str, list[str]] = {}
    async with listening(broker, broker.topic("attic", "+", "event"), status) as client:
        process = await asyncio.to_thread(credence, "run", config, "--output", out)
        killed = False
        async for message in client.messages:
            camera, what = str(message.topic).split("/")[-2:]
            assert isinstance(message.payload, bytes)
            if what == "status":
                said.setdefault(camera, []).append(message.payload.decode())
                continue
            EmotionEvent.model_validate_json(message.payload)
            seen[camera] = seen.get(camera, 0) + 1
            if not killed and set(seen) == {"door", "attic", "file"}:
                killed = True
                await asyncio.to_thread(server.kill)
                seen.clear()
            if killed and seen.get("attic", 0) >= 2 and said["door"][-1].startswith("offline"):
                break
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        stdout, stderr = await asyncio.to_thread(process.communicate, timeout=10)
        async with asyncio.timeout(5):
            while said["attic"][-1] != "offline":
                message = await anext(client.messages)
                camera, what = str(message.topic).split("/")[-2:]
                if what == "status":
                    assert isinstance(message.payload, bytes)
                    said[camera].append(message.payload.decode())
    server.close()
    assert time.monotonic() - began < 5
    assert (process.returncode, stdout) == (0, "")
    assert "s3cret" not in stderr
    assert "Traceback" not in stderr
    assert "camera lost: connection refused" in stderr
    assert "engine face" in stderr
    assert said["door"][:2] == ["offline", "online"]
    written = [json.loads(line) for line in out.read_text().splitlines()]
    for camera in ("door", "attic", "file"):
        numbers = [int(event["sequence"]) for event in written if event["subject"] == camera]
        assert numbers == list(range(len(numbers)))


def finished(*words: str | Path) -> tuple[int, str, str]:
    with credence(*words) as process:
        stdout, stderr = process.communicate(timeout=30)
    assert "Traceback" not in stderr
    return process.returncode, stdout, stderr


@pytest.mark.timeout(30)
def test_run_without_output_is_one_sentence(tmp_path: Path) -> None:
    code, _, stderr = finished("run", configured(tmp_path, {"a": "a.mp4"}))
    assert code == 2
    assert stderr.startswith("credence: events have nowhere to go")


@pytest.mark.timeout(30)
def test_run_without_cameras_is_one_sentence(tmp_path: Path) -> None:
    code, _, stderr = finished("run", configured(tmp_path, {}), "--output", "-")
    assert code == 2
    assert stderr.splitlines()[-1].startswith("credence: no cameras are configured")


@pytest.mark.timeout(30)
def test_run_ends_with_its_files(tmp_path: Path) -> None:
    clip = write_media(tmp_path / "a.mp4", seconds=0.5)
    cameras = {"a": str(clip), "b": str(tmp_path / "none.mp4")}
    code, stdout, stderr = finished("run", configured(tmp_path, cameras), "--output", "-")
    assert (code, stdout) == (2, "")
    assert "camera b: there is no such file" in stderr
    assert "camera a: the file has ended" in stderr


@pytest.mark.timeout(60)
def test_check_tries_everything(servers: list[RtspServer], tmp_path: Path) -> None:
    bad = {
        "door": servers[0].url,
        "lost": f"rtsp://admin:s3cret@127.0.0.1:{free_port()}/x",
        "wrong": servers[0].url.replace("/clip", "/other"),
    }
    config = configured(tmp_path, bad, f"mqtt://127.0.0.1:{free_port()}", "credence")
    code, stdout, stderr = finished("check", config)
    lines = stdout.splitlines()
    assert code == 2
    assert lines[1] == "camera door: h264 480x480 at 25/s, aac 16000 Hz"
    assert lines[2].startswith("camera lost: connection refused")
    assert lines[3].startswith("camera wrong: there is no such stream")
    assert "connection refused" in lines[4]
    assert "s3cret" not in stdout + stderr
