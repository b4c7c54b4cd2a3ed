"""Many cameras in one process, from real servers to a real broker."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from streamer.config import Camera, Config, Faces, Video, Windows
from streamer.event import EmotionEvent
from streamer.explanation import ExplanationEvent
from streamer.flow import Face, VideoFrame
from streamer.live import CameraError
from streamer.node import Node, open_node
from streamer.reconnect import LONGEST_S, Reconnector
from streamer.running import Waiting
from tests.media import AS_CAMERAS_DO, write_media
from tests.rtsp import RtspServer
from tests.streamer.events import SOON

ROOT = Path(__file__).parents[2]
FACES = Faces(model="haar")
EPOCH_S = 2.0
"""The first event of an epoch begins before, and the test goes on after it."""


class Events:
    """Keeps events, and lets a test wait for more."""

    def __init__(self) -> None:
        self.all: list[EmotionEvent] = []
        self.explanations: list[ExplanationEvent] = []
        self._more = asyncio.Event()

    def put(self, event: EmotionEvent | ExplanationEvent) -> None:
        if isinstance(event, ExplanationEvent):
            self.explanations.append(event)
        else:
            self.all.append(event)
        self._more.set()

    def of(self, camera: str) -> list[EmotionEvent]:
        return [event for event in self.all if event.subject == camera]

    async def until(self, there: Callable[[], object]) -> None:
        while not there():
            self._more.clear()
            await self._more.wait()


async def node_of(settings: Mapping[str, Any] | None = None, **urls: str) -> Node:
    cameras = tuple(Camera(name=name, url=SecretStr(url)) for name, url in urls.items())
    given = {"windows": Windows(**SOON), **(settings or {})}
    config = Config(node="attic", cameras=cameras, faces=FACES, **given)
    node = await asyncio.to_thread(open_node, config)
    node.waiting = Waiting(lambda: repeat(0.1), timeout_s=2.0)
    return node


@pytest.mark.timeout(60)
async def test_a_killed_camera_comes_back_and_disturbs_nobody(servers: list[RtspServer]) -> None:
    def began_s() -> float:
        return max((event.data.window.start_s for event in events.of("door")), default=0.0)

    door, attic = servers
    node, events = await node_of(door=door.url, attic=attic.url), Events()
    task = asyncio.create_task(node.run(events, None))
    await events.until(lambda: events.of("attic") and began_s() > EPOCH_S)
    await asyncio.to_thread(door.kill)
    seen, before = len(events.of("attic")), {event.data.window_id for event in events.all}
    await events.until(lambda: len(events.of("attic")) >= seen + 4)
    await asyncio.to_thread(door.start)
    count = len(events.of("door"))
    await events.until(lambda: len(events.of("door")) > count)
    node.stop()
    await task
    again = events.of("door")[count:]
    assert again[0].data.window.start_s < EPOCH_S  # a new epoch
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


@pytest.mark.alone
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
@pytest.mark.parametrize("bug", [ZeroDivisionError, TimeoutError])
async def test_a_bug_in_one_camera_leaves_the_others(
    servers: list[RtspServer],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    bug: type[Exception],
) -> None:
    def find(_frame: VideoFrame) -> list[Face]:
        raise bug

    node, events = await node_of(door=servers[0].url, attic=servers[1].url), Events()
    monkeypatch.setattr(node.finders[0], "find", find)
    task = asyncio.create_task(node.run(events, None))
    await events.until(lambda: events.of("attic"))
    said = ""
    while f"camera door: unexpected: {bug.__name__}" not in said:
        await asyncio.sleep(0.05)
        said += capsys.readouterr().out
    count = len(events.of("attic"))
    await events.until(lambda: len(events.of("attic")) > count)
    node.stop()
    await task


@pytest.mark.timeout(30)
async def test_a_machine_that_is_too_slow_is_told_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def slow(_: VideoFrame) -> list[Face]:
        time.sleep(0.2)
        return []

    node = await node_of(door="lavfi:testsrc=size=64x48:rate=50")
    fast = Video(sample_every_s=0.02)
    config = node.judging.config.model_copy(update={"video": fast})
    node.judging = replace(node.judging, config=config)
    monkeypatch.setattr(node.finders[0], "find", slow)
    task, said = asyncio.create_task(node.run(None, None)), ""
    while "too slow" not in said:
        await asyncio.sleep(0.05)
        said += capsys.readouterr().out
    node.stop()
    await task
    assert "raise video.sample_every_s, or get a faster face finder with: credence models" in said


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


def lost_again_and_again(stop: asyncio.Event, times: int, **how: bool) -> Callable[[], Any]:
    left = iter(range(times))

    async def session() -> None:
        if next(left, None) is None:
            stop.set()
        raise CameraError("door", "lost", **how)

    return session


@pytest.mark.timeout(10)
async def test_a_camera_that_is_back_is_tried_at_once_and_then_with_short_delays_again() -> None:
    stop, begun = asyncio.Event(), []

    def delays() -> Iterator[float]:
        begun.append("delays")
        return repeat(3600.0)

    def returned(_: threading.Event) -> Iterator[None]:
        yield

    await Reconnector(stop, delays, returned).hold(lost_again_and_again(stop, 2))
    assert len(begun) >= 3


async def test_one_that_lets_us_not_in_waits_longest_and_is_not_knocked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[float] = []

    async def back_within(_: Reconnector, delay_s: float, knock: object) -> bool:
        asked.append(delay_s)
        assert list(knock(threading.Event())) == []  # type: ignore[operator]
        return False

    monkeypatch.setattr(Reconnector, "_back_within", back_within)
    stop = asyncio.Event()

    def returned(_: threading.Event) -> Iterator[None]:
        raise AssertionError

    await Reconnector(stop, lambda: repeat(0.0), returned).hold(
        lost_again_and_again(stop, 2, denied=True)
    )
    assert len(asked) == 3
    assert all(LONGEST_S / 2 <= delay_s <= LONGEST_S for delay_s in asked)
