"""What is wrong with a camera or a model is one sentence, in its status too; others go on."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from itertools import repeat
from pathlib import Path

import pytest
from pydantic import SecretStr

from streamer.broker import Broker
from streamer.config import Camera, Config, Engines, Faces, Transcript, Windows
from streamer.live import Live
from streamer.node import open_node
from streamer.picture import PictureWatch
from streamer.running import Waiting
from streamer.sinks.mqtt import MqttSink
from tests.media import AS_CAMERAS_DO, write_media
from tests.rtsp import RtspServer
from tests.streamer.broker import free_port, listening
from tests.streamer.events import SOON

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RtspServer]:
    clip = write_media(tmp_path / "a.mov", seconds=2, options=AS_CAMERAS_DO)
    server = RtspServer(clip, ("admin", "s3cret"))
    yield server
    server.close()


class Heard:
    """What a subscriber hears of a node's cameras."""

    def __init__(self) -> None:
        self.status: dict[str, str] = {}
        self.events: dict[str, int] = {}
        self._more = asyncio.Event()

    def take(self, topic: str, payload: object) -> None:
        assert isinstance(payload, bytes)
        assert b"s3cret" not in payload
        camera, leaf = topic.split("/")[-2:]
        if leaf == "status":
            self.status[camera] = payload.decode()
        if leaf == "event":
            self.events[camera] = self.events.get(camera, 0) + 1
        self._more.set()

    async def until(self, there: Callable[[], bool]) -> None:
        while not there():
            self._more.clear()
            await self._more.wait()

    async def until_status(self, camera: str, beginning: str) -> None:
        await self.until(lambda: self.status.get(camera, "").startswith(beginning))


@asynccontextmanager
async def node_of(
    broker: Broker, cameras: dict[str, str], transcript: Transcript | None = None
) -> AsyncIterator[Heard]:
    """Run a node with these cameras, which judges faces alone, and listen to it."""
    config = Config(
        node="attic",
        cameras=tuple(Camera(name=name, url=SecretStr(url)) for name, url in cameras.items()),
        faces=Faces(model="haar"),
        windows=Windows(**SOON),
        engines=Engines(voice="none", text="none", policy="none"),
        transcript=transcript or Transcript(),
    )
    node, heard = await asyncio.to_thread(open_node, config), Heard()
    node.waiting = Waiting(lambda: repeat(0.1))

    async def listen() -> None:
        async for message in client.messages:
            heard.take(str(message.topic), message.payload)

    async with listening(broker, broker.topic("attic", "+", "+")) as client:
        listener = asyncio.create_task(listen())
        running = asyncio.create_task(node.run(None, MqttSink(broker, "attic")))
        try:
            yield heard
        finally:
            node.stop()
            await running
            listener.cancel()


async def test_what_keeps_a_camera_away_stands_in_its_status(
    broker: Broker,
    server: RtspServer,
    clip: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    right = server.with_login("admin", "s3cret")
    expected = {
        "wrong": (right.replace("/clip", "/other"), "offline: there is no such stream"),
        "stranger": (
            server.with_login("admin", "s3cret2"),
            "offline: wrong user name or password; ",
        ),
        "nobody": (server.url, "offline: it wants a user name and password; "),
        "refused": (
            f"rtsp://admin:s3cret@127.0.0.1:{free_port()}/x",
            "offline: connection refused; ",
        ),
        "lost": ("rtsp://admin:s3cret@no-such-host.invalid/x", "offline: host name "),
        "gone": (str(tmp_path / "none.mp4"), "offline: there is no such file"),
        "door": (right, "online"),
    }
    cameras = {name: url for name, (url, _) in expected.items()} | {"talk": str(clip)}
    async with node_of(broker, cameras) as heard:
        for name, (_, status) in expected.items():
            await heard.until_status(name, status)
        await heard.until(lambda: heard.events.get("talk", 0) >= 2)
        assert heard.status["door"] == heard.status["talk"] == "online"
    said = capsys.readouterr().out
    assert "s3cret" not in said
    for name, (_, status) in expected.items():
        if status.startswith("offline: "):
            assert said.count(f"camera {name}: {status.removeprefix('offline: ')}") == 1


async def test_a_picture_that_shows_nothing_stands_in_the_status(
    broker: Broker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    watch = partial(PictureWatch, black_after_s=0.8, frozen_after_s=0.8)
    monkeypatch.setattr("streamer.running.Live", partial(Live, watch=watch))
    cameras = {
        "black": "lavfi:color=black:size=64x48",
        "frozen": "lavfi:color=red:size=64x48",
        "well": "lavfi:testsrc=size=64x48",
    }
    silent = "it sends no sound, so only faces are judged"
    async with node_of(broker, cameras) as heard:
        await heard.until_status("black", f"online: {silent}. the picture is black")
        await heard.until_status("frozen", f"online: {silent}. the picture does not change")
        assert heard.status["well"] == f"online: {silent}"
    said = capsys.readouterr().out
    assert said.count("camera black: the picture is black") == 1
    assert said.count("camera frozen: the picture does not change") == 1


async def test_a_picture_that_comes_back_clears_the_status(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = partial(PictureWatch, black_after_s=0.8)
    monkeypatch.setattr("streamer.running.Live", partial(Live, watch=watch))
    dark = "lavfi:testsrc=size=64x48,drawbox=color=black:t=fill:enable=lt(t\\,2)"
    async with node_of(broker, {"door": dark}) as heard:
        await heard.until(lambda: "the picture is black" in heard.status.get("door", ""))
        await heard.until(lambda: "the picture" not in heard.status["door"])
        assert heard.status["door"].startswith("online")


async def test_another_codec_after_a_reconnect_stands_in_the_status(
    broker: Broker, server: RtspServer, tmp_path: Path
) -> None:
    options = {"sound": "pcm_mulaw", "sound_hz": 8000, "options": AS_CAMERAS_DO}
    other = write_media(tmp_path / "b.mov", seconds=2, **options)  # type: ignore[arg-type]
    silent = write_media(tmp_path / "c.mov", seconds=2, sound=None, options=AS_CAMERAS_DO)
    async with node_of(broker, {"door": server.with_login("admin", "s3cret")}) as heard:
        await heard.until_status("door", "online")
        for clip, before in ((other, "aac 16000 Hz"), (silent, "pcm_mulaw 8000 Hz")):
            await asyncio.to_thread(server.kill)
            await heard.until_status("door", "offline: ")
            server.clip = clip
            await asyncio.to_thread(server.start)
            said = f"online: it has changed, before it sent h264 64x48 at 25/s, {before}"
            await heard.until_status("door", said)
        assert heard.status["door"].endswith("it sends no sound, so only faces are judged")


@pytest.mark.parametrize(
    ("file", "problem"),
    [
        ("model.bin", "holds no config.json and no tokenizer.json and no vocabulary.json"),
        ("ggml-tiny.bin", "holds a model in the format of whisper.cpp"),
    ],
)
async def test_cameras_go_on_without_a_whisper_that_cannot_be_used(
    broker: Broker,
    clip: Path,
    tmp_path: Path,
    file: str,
    problem: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "whisper"
    folder.mkdir()
    (folder / file).touch()
    given = Transcript(model=str(folder))
    async with node_of(broker, {"door": str(clip)}, given) as heard:
        await heard.until_status("door", "online: speech is not transcribed, whisper is no")
        await heard.until(lambda: heard.events.get("door", 0) >= 1)
        assert heard.status["door"].endswith(f"({problem})")
    said = capsys.readouterr().out
    assert said.count("speech is not transcribed") == 1
    assert problem in said
