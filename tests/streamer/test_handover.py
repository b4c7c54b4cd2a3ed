"""Blocking work made asynchronous: order, bounds, errors, cancellation."""

import asyncio
import gc
import threading
import weakref
from collections.abc import Iterator
from contextlib import suppress

import pytest

from streamer.handover import Handover
from streamer.worker import Worker


def count(stop: threading.Event) -> Iterator[int]:
    yield from range(1000)


async def test_items_come_in_order_and_end() -> None:
    async with Handover(count, name="count", depth=4) as numbers:
        assert [n async for n in numbers] == list(range(1000))


async def test_the_thread_waits_for_who_listens() -> None:
    made: list[int] = []
    full = threading.Event()

    def make(stop: threading.Event) -> Iterator[int]:
        for number in range(100):
            made.append(number)
            if number == 3:
                full.set()
            yield number

    async with Handover(make, name="make", depth=3) as numbers:
        await asyncio.to_thread(full.wait, 5)
        assert len(made) == 4
        stream = aiter(numbers)
        assert await anext(stream) == 0


async def test_an_error_reaches_who_listens_after_what_came_before() -> None:
    def fail(stop: threading.Event) -> Iterator[int]:
        yield 1
        raise OSError("gone")

    async with Handover(fail, name="fail") as numbers:
        stream = aiter(numbers)
        assert await anext(stream) == 1
        with pytest.raises(OSError, match="gone"):
            await anext(stream)


async def test_an_error_keeps_nothing_alive() -> None:
    seen: list[weakref.ref[threading.Event]] = []

    def fail(stop: threading.Event) -> Iterator[int]:
        picture = threading.Event()
        seen.append(weakref.ref(picture))
        yield 1
        raise OSError("gone")

    gc.disable()
    try:
        async with Handover(fail, name="fail") as numbers:
            with suppress(OSError):
                async for _ in numbers:
                    pass
        await asyncio.to_thread(numbers._thread.join, 5)
        assert seen[0]() is None
    finally:
        gc.enable()


async def test_leaving_stops_the_thread() -> None:
    ended = threading.Event()

    def endless(stop: threading.Event) -> Iterator[int]:
        try:
            while not stop.is_set():
                yield 0
        finally:
            ended.set()

    async with Handover(endless, name="endless", depth=2) as numbers:
        assert await anext(aiter(numbers)) == 0
    assert await asyncio.to_thread(ended.wait, 5)


async def test_leaving_does_not_wait_for_a_blocked_read() -> None:
    release = threading.Event()

    def blocked(stop: threading.Event) -> Iterator[int]:
        release.wait(5)
        yield 0

    async with asyncio.timeout(1), Handover(blocked, name="blocked"):
        pass
    release.set()


async def test_live_drops_the_oldest_and_counts() -> None:
    done = threading.Event()

    def make(stop: threading.Event) -> Iterator[int]:
        yield from range(10)
        done.set()

    drops: list[None] = []
    live = Handover(
        make,
        name="live",
        depth=3,
        droppable=lambda number: number != 0,
        drops=lambda: drops.append(None),
    )
    async with live as numbers:
        await asyncio.to_thread(done.wait, 5)
        await asyncio.sleep(0)  # what the thread handed over before is taken in now
        assert live.waiting <= 4
        # The first must not be dropped; of the others the newest are left.
        assert [number async for number in numbers] == [0, 8, 9]
    assert live.dropped == len(drops) == 7


async def test_live_drops_what_is_too_old_while_there_is_newer() -> None:
    old, go_on = threading.Event(), threading.Event()

    def make(stop: threading.Event) -> Iterator[int]:
        yield from range(5)
        old.set()
        go_on.wait(5)
        yield 5

    live = Handover(make, name="live", longest_s=0.05, droppable=lambda number: number != 0)
    async with live as numbers:
        await asyncio.to_thread(old.wait, 5)
        await asyncio.sleep(0.1)
        stream = aiter(numbers)
        # The first must not be dropped, and the newest is better than none.
        assert [await anext(stream), await anext(stream)] == [0, 4]
        assert live.waited_s > 0.05
        go_on.set()
        assert [number async for number in stream] == [5]
    assert live.dropped == 3


async def test_what_must_not_be_dropped_does_not_grow_for_ever() -> None:
    done = threading.Event()

    def make(stop: threading.Event) -> Iterator[int]:
        yield from range(100)
        done.set()

    live = Handover(make, name="live", depth=3, droppable=lambda _: False)
    async with live as numbers:
        await asyncio.to_thread(done.wait, 5)
        await asyncio.sleep(0)
        assert [number async for number in numbers] == list(range(94, 100))


async def test_end_ends_at_once_while_a_read_blocks() -> None:
    release = threading.Event()

    def blocked(stop: threading.Event) -> Iterator[int]:
        yield 1
        release.wait(5)
        yield 2

    async with asyncio.timeout(1), Handover(blocked, name="blocked") as numbers:
        stream = aiter(numbers)
        assert await anext(stream) == 1
        numbers.end()
        assert [number async for number in stream] == []
    release.set()


async def test_worker_runs_calls_in_order_on_its_own_thread() -> None:
    worker = Worker("test")
    names = await asyncio.gather(
        *(worker.run(lambda: threading.current_thread().name) for _ in "abc")
    )
    worker.close()
    assert names == ["test"] * 3


async def test_worker_raises_what_the_call_raises() -> None:
    worker = Worker("test")
    with pytest.raises(ZeroDivisionError):
        await worker.run(lambda: 1 / 0)
    assert await worker.run(lambda: 2) == 2
    worker.close()


async def test_worker_outlives_a_cancelled_call() -> None:
    worker, release = Worker("test"), threading.Event()
    waiting = asyncio.create_task(worker.run(release.wait, 5))
    await asyncio.sleep(0)
    waiting.cancel()
    release.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await worker.run(lambda: 3) == 3
    worker.close()
