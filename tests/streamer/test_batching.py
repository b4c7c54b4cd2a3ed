"""Windows that come at nearly the same time are judged at once, and nobody waits too long."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines.engine import BUNDLES, Answer, Engine, open_engine
from engines.examine import BANDS
from engines.manifest import Modality
from engines.opinion import Opinion
from engines.runtime import Batch, Outputs, Runtime
from engines.window import FaceWindow
from streamer.batching import Batcher
from streamer.config import Config, Engines, Faces
from streamer.ensemble import Ensemble, Panel, open_ensemble
from streamer.event import EmotionEvent
from streamer.faces import open_finder
from streamer.recognise import recognise
from streamer.replay import Replay, open_replay
from streamer.worker import Worker
from tests.streamer.test_ensemble import seen
from tests.streamer.test_node import Events


class Recording:
    """Runs a network as it is, says that batches pay, and notes how many rows each call has."""

    batches = True

    def __init__(self, runtime: Runtime) -> None:
        self._runtime, self.name = runtime, runtime.name
        self.rows: list[int] = []
        self.threads: set[str] = set()
        self.free = threading.Event()
        """Cleared, it keeps every call waiting."""
        self.free.set()
        self.broken = False

    def __call__(self, batch: Batch) -> Outputs:
        self.rows.append(len(batch))
        self.threads.add(threading.current_thread().name)
        self.free.wait(5)
        if self.broken:
            raise RuntimeError("the device is gone")
        return self._runtime(batch)


def face(n: int) -> FaceWindow:
    """A window of one crop, each its own."""
    crop = np.random.default_rng(n).integers(0, 255, (1, 48, 48), np.uint8)
    return FaceWindow(0.0, 1.0, crop)


def with_batches(engine: Engine) -> Engine:
    return replace(engine, runtime=Recording(engine.runtime))


@pytest.fixture
def engine() -> Engine:
    return with_batches(open_engine(BUNDLES / "face"))


@pytest.fixture
def runtime(engine: Engine) -> Recording:
    assert isinstance(engine.runtime, Recording)
    return engine.runtime


@pytest.fixture
def batcher() -> Iterator[Batcher]:
    batcher = Batcher(0.05)
    yield batcher
    batcher.worker.close()


def same(found: Sequence[Answer], expected: Sequence[Opinion]) -> None:
    for one, other in zip((answer.opinion for answer in found), expected, strict=True):
        np.testing.assert_allclose(one.evidence, other.evidence, rtol=1e-4, atol=1e-5)


async def test_windows_within_the_budget_share_a_call(
    engine: Engine, runtime: Recording, batcher: Batcher
) -> None:
    windows = [face(n) for n in range(5)]
    found = await asyncio.gather(*(batcher.judge(engine, window) for window in windows))
    assert (runtime.rows, runtime.threads) == ([5], {"device"})
    same(found, [engine.judge(window) for window in windows])


async def test_a_lone_window_waits_no_longer_than_the_budget(
    engine: Engine, runtime: Recording, batcher: Batcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    sleep = asyncio.sleep

    async def noted(wait_s: float) -> None:
        waits.append(wait_s)
        await sleep(wait_s)

    monkeypatch.setattr("streamer.batching.asyncio.sleep", noted)
    await batcher.judge(engine, face(1))
    await batcher.judge(engine, face(2))
    assert runtime.rows == [1, 1]
    assert len(waits) == 2
    assert all(0 < wait_s <= 0.05 for wait_s in waits)


async def test_what_comes_while_the_device_is_busy_goes_together(
    engine: Engine, runtime: Recording, batcher: Batcher
) -> None:
    runtime.free.clear()
    first = asyncio.create_task(batcher.judge(engine, face(0)))
    while not runtime.rows:  # noqa: ASYNC110 - set by a thread
        await asyncio.sleep(0.01)
    others = [asyncio.create_task(batcher.judge(engine, face(n))) for n in (1, 2, 3)]
    await asyncio.sleep(0.1)
    assert runtime.rows == [1]
    runtime.free.set()
    found = await asyncio.gather(first, *others)
    assert runtime.rows == [1, 3]
    same(found, [engine.judge(face(n)) for n in range(4)])


async def test_engines_are_not_mixed(engine: Engine, batcher: Batcher) -> None:
    another = with_batches(engine)
    await asyncio.gather(*(batcher.judge(each, face(0)) for each in (engine, another, engine)))
    assert isinstance(another.runtime, Recording)
    assert another.runtime.rows == [1]


async def test_an_error_reaches_all_who_asked_and_nobody_after(
    engine: Engine, runtime: Recording, batcher: Batcher
) -> None:
    runtime.broken = True
    failed = await asyncio.gather(
        *(batcher.judge(engine, face(n)) for n in range(3)), return_exceptions=True
    )
    assert [str(error) for error in failed] == ["the device is gone"] * 3
    runtime.broken = False
    same([await batcher.judge(engine, face(0))], [engine.judge(face(0))])


async def test_who_is_cancelled_disturbs_nobody(
    engine: Engine, runtime: Recording, batcher: Batcher
) -> None:
    asked = [asyncio.create_task(batcher.judge(engine, face(n))) for n in range(3)]
    await asyncio.sleep(0)
    asked[1].cancel()
    same(await asyncio.gather(asked[0], asked[2]), [engine.judge(face(n)) for n in (0, 2)])
    assert runtime.rows[0] == 2
    runtime.free.clear()
    late = [asyncio.create_task(batcher.judge(engine, face(n))) for n in range(2)]
    await asyncio.sleep(0.1)
    late[0].cancel()  # the device has it already
    runtime.free.set()
    same([await late[1]], [engine.judge(face(1))])
    alone = asyncio.create_task(batcher.judge(engine, face(3)))
    await asyncio.sleep(0)
    alone.cancel()
    await asyncio.sleep(0.1)
    same([await batcher.judge(engine, face(4))], [engine.judge(face(4))])


async def test_only_what_gains_by_batches_waits(engine: Engine, runtime: Recording) -> None:
    plain = await asyncio.to_thread(open_ensemble, Engines(policy="none"))
    mixed = Ensemble({**plain.engines, "face": engine}, plain.policy)
    worker, batcher = Worker("engines"), Batcher(0.01)

    async def windows() -> AsyncIterator[Any]:
        yield seen()

    cases: tuple[tuple[Ensemble, set[str]], ...] = ((plain, set()), (mixed, {"device"}))
    for ensemble, threads in cases:
        judged = recognise(windows(), Panel(ensemble), worker, batcher)
        (each,) = [one async for one in judged]
        assert set(each.opinions) == set(each.quality) == {"face"}
        assert runtime.threads == threads
    worker.close()
    batcher.close()


@pytest.mark.timeout(120)
async def test_many_cameras_say_the_same_with_batches_and_without(short_clip: Path) -> None:
    config = Config(node="attic", faces=Faces(model="haar"))
    player = await asyncio.to_thread(open_replay, config)
    alone = Events()
    await player.run([short_clip], alone)
    ensemble = player.judging.panel.sitting
    recording = {kind: with_batches(engine) for kind, engine in ensemble.engines.items()}
    batcher = Batcher(1.0)  # long enough for a slow machine's cameras to meet
    judging = replace(
        player.judging, panel=Panel(replace(ensemble, engines=recording)), batcher=batcher
    )

    async def camera() -> list[EmotionEvent]:
        finder = await asyncio.to_thread(open_finder, config.faces)
        events = Events()
        await Replay(judging, finder).run([short_clip], events)
        return events.all

    cameras = await asyncio.gather(*(camera() for _ in range(3)))
    batcher.close()
    for said in cameras:
        for event, expected in zip(said, alone.all, strict=True):
            assert (event.id, event.sequence) == (expected.id, expected.sequence)
            assert event.data.emotion == expected.data.emotion
            assert event.data.belief == pytest.approx(expected.data.belief, abs=1e-5)
            assert event.data.confidence == pytest.approx(expected.data.confidence, abs=1e-5)
    asks: dict[Modality, int] = {"face": 1 + len(BANDS), "voice": 1}
    for kind, asked in asks.items():
        windows = 3 * asked * sum(event.data.opinions[kind].present for event in alone.all)
        runtime = recording[kind].runtime
        assert isinstance(runtime, Recording)
        assert 0 < len(runtime.rows) < windows
