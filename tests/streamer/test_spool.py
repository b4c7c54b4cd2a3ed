"""Events on disk: kept, sent again, bounded, and never lost by what ends the process."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from streamer.sinks.outbox import OutboxClosedError
from streamer.sinks.spool import Spool
from streamer.sinks.spool_store import Bounds, SpoolStore
from tests.streamer.conftest import MakeEvent

DEFAULTS = Bounds()


class Clock:
    def __init__(self) -> None:
        self.now_s = 1e9

    def __call__(self) -> float:
        return self.now_s


@asynccontextmanager
async def opened(
    path: Path, bounds: Bounds = DEFAULTS, now: Callable[[], float] = time.monotonic
) -> AsyncIterator[Spool]:
    spool = Spool(await asyncio.to_thread(SpoolStore.open, path, bounds), now)
    try:
        yield spool
    finally:
        await asyncio.to_thread(spool.__exit__, None, None, None)


@pytest.fixture
def clock() -> Clock:
    return Clock()


Open = Callable[..., Awaitable[Spool]]


@pytest.fixture
async def reopen(tmp_path: Path, clock: Clock) -> AsyncIterator[Open]:
    """Open the one spool of a test; what was open before is closed first."""
    async with AsyncExitStack() as stack:

        async def open_spool(**bounds: float) -> Spool:
            await stack.aclose()
            given = Bounds(**bounds)  # type: ignore[arg-type]
            return await stack.enter_async_context(opened(tmp_path / "spool.sqlite3", given, clock))

        yield open_spool


async def taken(spool: Spool) -> list[tuple[str, int]]:
    """Take all that is there, and acknowledge nothing."""
    found = []
    with suppress(TimeoutError):
        async with asyncio.timeout(0.1):
            while letter := await spool.take():
                found.append((letter[1].camera, letter[1].sequence))
    return found


async def sent(spool: Spool, count: int) -> None:
    for _ in range(count):
        letter = await spool.take()
        assert letter
        await spool.acknowledge(letter[0])


async def test_put_events_outlive_the_process(reopen: Open, make_event: MakeEvent) -> None:
    spool = await reopen()
    events = [make_event(camera, n) for n in range(3) for camera in ("door", "yard")]
    for event in events:
        await spool.put(event)
    again = await reopen()
    assert len(again) == 6
    letters = [await again.take() for _ in events]
    assert [each[1].event for each in letters if each] == [
        event.model_dump_json().encode() for event in events
    ]


async def test_events_put_together_are_all_kept_in_order_per_camera(
    reopen: Open, make_event: MakeEvent
) -> None:
    spool = await reopen()

    async def feed(camera: str) -> None:
        for n in range(10):
            await spool.put(make_event(camera, n))

    await asyncio.gather(*(feed(f"c{number}") for number in range(24)))
    found = await taken(spool)
    assert len(found) == 240
    for number in range(24):
        assert [n for camera, n in found if camera == f"c{number}"] == list(range(10))


async def test_acknowledged_events_are_sent_again_for_a_while(
    reopen: Open, make_event: MakeEvent, clock: Clock
) -> None:
    spool = await reopen(resend_s=60)
    for n in range(5):
        await spool.put(make_event(n=n))
    await sent(spool, 2)
    assert len(spool) == 3
    clock.now_s += 59
    await sent(spool, 1)
    spool.rewind()
    assert await taken(spool) == [("door", n) for n in range(5)]
    spool.rewind()
    clock.now_s += 2
    for number in (3, 4):
        await spool.acknowledge(number)
    assert await taken(spool) == [("door", 2), ("door", 3), ("door", 4)]
    again = await reopen(resend_s=60)
    assert await taken(again) == [("door", 2), ("door", 3), ("door", 4)]


async def test_what_a_killed_broker_forgot_is_kept_however_long_it_is_away(
    reopen: Open, make_event: MakeEvent, clock: Clock
) -> None:
    spool = await reopen(resend_s=60)
    await spool.put(make_event(n=0))
    await sent(spool, 1)
    clock.now_s += 1e5
    for n in (1, 2):
        await spool.put(make_event(n=n))
    spool.rewind()
    await sent(spool, 2)
    spool.rewind()
    assert await taken(spool) == [("door", 0), ("door", 1), ("door", 2)]


async def test_copies_end_on_a_line_that_breaks_all_the_time(
    reopen: Open, make_event: MakeEvent, clock: Clock
) -> None:
    spool = await reopen(resend_s=60)
    for n in range(100):
        await spool.put(make_event(n=n))
        spool.rewind()
        clock.now_s += 5
        while len(spool):
            await sent(spool, 1)
    spool.rewind()
    assert len(await taken(spool)) < 30


async def test_a_state_that_was_said_does_not_come_back(
    reopen: Open, make_event: MakeEvent
) -> None:
    spool = await reopen()
    for n in range(2):
        await spool.put(make_event(n=n))
    await sent(spool, 1)
    spool.rewind()
    states = [letter[1].state for _ in range(2) if (letter := await spool.take())]
    assert states[0] is None
    assert states[1]


async def test_sequences_go_on_after_a_restart(reopen: Open, make_event: MakeEvent) -> None:
    spool = await reopen(resend_s=0)
    assert spool.next_sequence("door") == 0
    for n in range(3):
        await spool.put(make_event(n=n))
    await sent(spool, 3)
    again = await reopen()
    assert (again.next_sequence("door"), again.next_sequence("yard")) == (3, 0)


async def test_full_spool_gives_up_its_oldest(reopen: Open, make_event: MakeEvent) -> None:
    spool = await reopen(largest_bytes=20_000)
    with capture_logs() as logs:
        for n in range(30):
            await spool.put(make_event(n=n))
    found = await taken(spool)
    assert found == [("door", n) for n in range(30 - len(found), 30)]
    assert spool.lost["size"] == 30 - len(found) > 5
    assert [log["event"] for log in logs] == ["the spool is full, its oldest events are given up"]
    assert len(await reopen()) == len(found)


async def test_old_events_are_given_up(reopen: Open, make_event: MakeEvent, clock: Clock) -> None:
    spool = await reopen(oldest_s=3600)
    await spool.put(make_event(n=0))
    clock.now_s += 3601
    await spool.put(make_event(n=1))
    assert await taken(spool) == [("door", 1)]
    assert (spool.lost["age"], len(spool)) == (1, 1)


async def test_full_disk_refuses_and_loses_nothing_that_was_accepted(
    reopen: Open, make_event: MakeEvent
) -> None:
    spool = await reopen()
    db = spool._store._db
    for n in range(5):
        await spool.put(make_event(n=n))
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    db.execute(f"PRAGMA max_page_count = {pages}")
    with capture_logs() as logs:
        for n in range(5, 15):
            await spool.put(make_event(n=n))
        refused = spool.lost["unwritable"]
        db.execute("PRAGMA max_page_count = 1000000")
        await spool.put(make_event(n=15))
    kept = 5 + 10 - refused
    assert refused > 5
    assert await taken(spool) == [*(("door", n) for n in range(kept)), ("door", 15)]
    assert [log["event"] for log in logs] == [
        "events are refused, the spool cannot be written (database or disk is full)",
        "the spool can be written again",
    ]


async def test_close_lets_what_waits_be_taken(reopen: Open, make_event: MakeEvent) -> None:
    spool = await reopen()
    await spool.put(make_event(n=0))
    await spool.close()
    with pytest.raises(OutboxClosedError):
        await spool.put(make_event(n=1))
    await sent(spool, 1)
    assert await spool.take() is None
