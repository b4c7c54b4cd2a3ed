"""Cameras come, change and go while a node runs, and those that stay never notice."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from streamer.commands import Command
from streamer.config import Camera, Config, ConfigError, Vad, Video
from streamer.node import Node
from streamer.reload import Changes, Reloader, difference, needs_restart
from streamer.roster import Place, Roster
from streamer.running import Judge, Running
from streamer.wire import UnreadableError
from tests.media import write_media
from tests.rtsp import RtspServer
from tests.streamer.test_node import Events, node_of

SOURCE = "lavfi:testsrc=size=64x48:rate=10"


def camera(name: str, url: str = SOURCE, *, enabled: bool = True) -> Camera:
    return Camera(name=name, url=SecretStr(url), enabled=enabled)


@pytest.mark.parametrize(
    ("after", "changes"),
    [
        ([camera("a"), camera("b", enabled=False)], Changes()),
        ([camera("b", enabled=False), camera("a")], Changes()),
        ([], Changes(removed=("a", "b"))),
        ([camera("b"), camera("a", enabled=False)], Changes(enabled=("b",), disabled=("a",))),
        (
            [camera("a", "webcam:0"), camera("b", "webcam:1")],
            Changes(changed=("a",), enabled=("b",)),
        ),
        (
            [camera("c"), camera("b", "webcam:1", enabled=False)],
            Changes(added=("c",), changed=("b",), removed=("a",)),
        ),
    ],
)
def test_difference(after: list[Camera], changes: Changes) -> None:
    before = {each.name: each for each in (camera("a"), camera("b", enabled=False))}
    assert difference(before, after) == changes
    wanted = {each.name: each for each in after}
    assert difference(wanted, after) == Changes()
    assert set(difference({}, after).added) == wanted.keys()


def test_a_difference_is_said_in_a_sentence() -> None:
    assert str(Changes()) == ""
    said = str(Changes(removed=("d",), added=("a", "b"), changed=("c",)))
    assert said == "added a, b; changed c; removed d"


def test_what_needs_a_restart_is_named() -> None:
    before = Config(node="attic", cameras=(camera("a"),))
    assert needs_restart(before, Config(node="attic")) == ()
    after = Config(node="cellar", vad=Vad(hangover_s=1), video=Video(sample_every_s=1))
    assert needs_restart(before, after) == ("node", "video", "vad")


@pytest.mark.parametrize(
    "line", [b"{}", b'{"swap": {}, "reload": true}', b'{"reload": false}', b"x"]
)
def test_what_is_no_command_is_refused(line: bytes) -> None:
    with pytest.raises(UnreadableError, match="this cannot be read"):
        Command.parse(line)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConfigError(["c.yaml:2: no", "c.yaml:3: nor this"]), "c.yaml:2: no\nc.yaml:3: nor this"),
        (ZeroDivisionError("secret"), "unexpected: ZeroDivisionError, see the node's log"),
    ],
)
async def test_what_cannot_be_read_changes_nothing(error: Exception, said: str) -> None:
    def read() -> Config:
        raise error

    reloader = Reloader(Config(), read, lambda _: [], cast(Roster, None))
    answer = await reloader.reload()
    reloader.close()
    assert (answer.outcome, answer.cameras) == ("refused", Changes())
    assert answer.sentence == f"{said}; nothing was changed"


class Pretended:
    """What runs in a place; to end takes it a while."""

    runs = True

    def __init__(self, settings: Camera, all_: list["Pretended"], ends_in: int) -> None:
        assert not any(each.runs for each in all_), "two at once"
        self.settings, self._ends_in = settings, ends_in
        self._ending = asyncio.Event()
        all_.append(self)

    def end(self) -> None:
        self._ending.set()

    async def run(self) -> None:
        await self._ending.wait()
        for _ in range(self._ends_in):
            await asyncio.sleep(0)
        self.runs = False


WANTED = st.sampled_from(
    [None, camera("a"), camera("a", "webcam:0"), camera("a", enabled=False)],
)


@given(st.lists(st.tuples(WANTED, st.integers(0, 5)), max_size=8), st.integers(0, 4))
def test_a_place_becomes_what_it_was_told_last(
    told: list[tuple[Camera | None, int]], ends_in: int
) -> None:
    async def tell() -> None:
        ran: list[Pretended] = []
        rested: list[Camera | None] = []

        def start(settings: Camera, _: Judge) -> Running:
            return cast(Running, Pretended(settings, ran, ends_in))

        async def rest() -> None:
            rested.append(place.settings)

        place = Place(camera("a"), cast(Judge, None), start)
        task = asyncio.create_task(place.run(rest, lambda: None))
        last: Camera | None = camera("a")
        for wanted, turns in told:
            if task.done():
                break
            place.become(last := wanted)
            for _ in range(turns):
                await asyncio.sleep(0)
        for _ in range(20):
            await asyncio.sleep(0)
        assert task.done() is (last is None)
        running = [each.settings for each in ran if each.runs]
        assert running == ([last] if last and last.enabled else [])
        assert not (last and not last.enabled) or rested[-1] == last
        place.become(None)
        await task

    asyncio.run(tell())


class Following:
    """A node in this process, and the configuration that it reads."""

    def __init__(self, node: Node, events: Events) -> None:
        self.node, self.events = node, events
        self.config = node.judging.config
        node.read = lambda: self.config

    @property
    def states(self) -> dict[str, str]:
        return {name: each.state for name, each in self.node.metrics.cameras.items()}

    def reload(self, *cameras: Camera) -> None:
        self.config = self.config.model_copy(update={"cameras": cameras})
        self.node.hangup.set()

    async def until(self, there: Callable[[], object]) -> None:
        while True:
            if there():
                return
            await asyncio.sleep(0.02)


@asynccontextmanager
async def following(**urls: str) -> AsyncIterator[Following]:
    node, events = await node_of(None, **urls), Events()
    task = asyncio.create_task(node.run(events, None))
    try:
        yield Following(node, events)
    finally:
        node.stop()
        await task


@pytest.mark.timeout(60)
async def test_a_node_goes_on_without_cameras_and_takes_them_again(
    servers: list[RtspServer],
) -> None:
    url = servers[0].url
    async with following(door=url) as lab:
        await lab.events.until(lambda: lab.events.of("door"))
        servers[0].stalled.set()  # its read blocks now
        await asyncio.sleep(0.2)
        lab.reload()
        await lab.until(lambda: lab.states == {})
        servers[0].stalled.clear()
        count = len(lab.events.of("door"))
        assert b"door" not in await asyncio.to_thread(lab.node.metrics.page)
        lab.reload(camera("door", url), *(camera(name) for name in "abc"))
        await lab.until(lambda: set(lab.states.values()) == {"streaming"})
        await lab.events.until(lambda: len(lab.events.of("door")) > count)
        lab.reload(camera("door", url), camera("a", enabled=False))
        await lab.until(lambda: lab.states == {"door": "streaming", "a": "disabled"})
    events = lab.events.of("door")
    assert [int(event.sequence) for event in events] == list(range(len(events)))
    assert len({event.id for event in events}) == len(events)


@pytest.mark.timeout(30)
async def test_cameras_that_come_have_threads_of_their_own_up_to_the_processors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("streamer.node.processors", lambda: 3)
    async with following(a=SOURCE) as lab:
        await lab.until(lambda: lab.states == {"a": "streaming"})
        roster = lab.node._roster
        assert roster
        assert len(roster.workers) == 1
        lab.reload(*(camera(name) for name in "abcdef"))
        await lab.until(lambda: set(lab.states.values()) == {"streaming"} and len(lab.states) == 6)
        seats = [place.judge.worker.name for place in roster._places.values()]
        assert seats == [f"engines {number}" for number in (1, 2, 3, 1, 2, 3)]
        lab.reload(camera("a"))
        await lab.until(lambda: lab.states == {"a": "streaming"})
        assert len(roster.workers) == 3


@pytest.mark.timeout(30)
async def test_a_file_that_has_ended_waits_while_another_camera_may_send(tmp_path: Path) -> None:
    clip = str(write_media(tmp_path / "a.mp4", seconds=0.5))
    async with following(file=clip, door=SOURCE) as lab:
        await lab.until(lambda: lab.states == {"file": "ended", "door": "streaming"})
        lab.reload(camera("file", clip))
        await lab.until(lambda: lab.states == {"file": "ended"})
        assert not lab.node.stopped, "what somebody changes ends no node"
        lab.reload(camera("file", clip), camera("other", clip))
        await lab.until(lambda: lab.states.get("other") == "ended")


@pytest.mark.timeout(30)
async def test_a_camera_that_comes_back_before_it_has_gone_stays() -> None:
    async with following(door=SOURCE, attic=SOURCE) as lab:
        await lab.until(lambda: set(lab.states.values()) == {"streaming"})
        roster = lab.node._roster
        assert roster
        before = roster._places["door"]
        first = before.running
        roster.take([camera("attic")])
        roster.take([camera("attic"), camera("door")])
        await lab.until(lambda: before.running is not first)
        await lab.until(lambda: lab.states == {"door": "streaming", "attic": "streaming"})
        assert roster._places["door"] is before
