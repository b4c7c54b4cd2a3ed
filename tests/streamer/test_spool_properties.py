"""Whatever fails, and when: what the spool accepted arrives, in order per camera.

The broker is a model here; `tests/chaos` has the real one.
"""

import asyncio
import json
import shutil
import tempfile
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamer.sinks.outbox import Letter
from streamer.sinks.spool import Spool
from streamer.sinks.spool_store import Bounds, SpoolStore
from tests.streamer.events import event_of

RESEND_S = 60.0
ACTIONS = st.one_of(
    st.tuples(st.sampled_from(["put", "work"]), st.sampled_from(["door", "yard"])),
    st.tuples(st.sampled_from(["send", "acknowledge", "deliver"]), st.integers(1, 5)),
    st.tuples(st.just("arrive_unacknowledged"), st.integers(1, 3)),
    st.tuples(st.sampled_from(["wait", "outage"]), st.floats(0, 2 * RESEND_S)),
    st.tuples(st.sampled_from(["save", "lose_connection", "kill_broker"]), st.none()),
    st.tuples(st.just("kill_node"), st.sampled_from(["idle", "writing"])),
)


@dataclass
class FakeBroker:
    """Keeps messages in memory, saves them at times, and forgets the others if killed."""

    queue: list[bytes] = field(default_factory=list)
    saved: list[bytes] = field(default_factory=list)
    saved_s: float = 0.0

    def save(self, now_s: float) -> None:
        self.saved, self.saved_s = list(self.queue), now_s

    def kill(self) -> None:
        self.queue = list(self.saved)


class World:
    """A node, a broker and a subscriber, and what may happen to them."""

    def __init__(self, folder: Path) -> None:
        self.now_s = 1e9
        self.accepted: set[bytes] = set()
        self.received: list[bytes] = []
        self._folder, self._generations, self._names = folder, count(), count()
        self._broker = FakeBroker(saved_s=self.now_s)
        self._in_flight: list[tuple[int, Letter]] = []
        self.spool = self._opened(folder / "first.sqlite3")

    def _opened(self, path: Path) -> Spool:
        self._path = path
        return Spool(SpoolStore.open(path, Bounds(resend_s=RESEND_S)), lambda: self.now_s)

    async def put(self, camera: str) -> None:
        event = event_of(camera, self.spool.next_sequence(camera), window_id=str(next(self._names)))
        await self.spool.put(event)
        self.accepted.add(event.model_dump_json().encode())

    async def work(self, camera: str) -> None:
        """Let an event get as far as the broker."""
        await self.put(camera)
        await self.send(100)
        await self.acknowledge(100)

    async def send(self, most: int) -> bool:
        """Send what waits, but not too much; return whether there may be more."""
        for _ in range(most):
            if not (self.spool._ready or await self.spool._read()):
                return False
            taken = await self.spool.take()
            assert taken
            self._in_flight.append(taken)
        return True

    async def acknowledge(self, most: int) -> None:
        for number, letter in self._in_flight[:most]:
            self._broker.queue.append(letter.event)
            await self.spool.acknowledge(number)
        del self._in_flight[:most]

    async def arrive_unacknowledged(self, most: int) -> None:
        self._broker.queue += [letter.event for _, letter in self._in_flight[:most]]
        await self.lose_connection()

    async def deliver(self, most: int) -> None:
        self.received += self._broker.queue[:most]
        del self._broker.queue[:most]

    async def wait(self, for_s: float) -> None:
        # A broker that saves less often than acknowledged events are kept does lose some.
        while for_s > 0:
            step_s = min(for_s, RESEND_S / 3)
            self.now_s, for_s = self.now_s + step_s, for_s - step_s
            if self.now_s - self._broker.saved_s >= RESEND_S / 3:
                await self.save()

    async def save(self, _: None = None) -> None:
        self._broker.save(self.now_s)

    async def lose_connection(self, _: None = None) -> None:
        self._in_flight.clear()
        self.spool.rewind()

    async def kill_broker(self, _: None = None) -> None:
        self._broker.kill()
        await self.lose_connection()

    async def outage(self, for_s: float) -> None:
        """Leave a killed broker dead while events go on coming."""
        await self.kill_broker()
        self.now_s += for_s
        await self.put("door")
        await self.lose_connection()

    async def kill_node(self, doing: str) -> None:
        """Go on from what the disk holds at this moment; nothing is closed before."""
        writing = asyncio.create_task(self.put("door")) if doing == "writing" else None
        await asyncio.sleep(0)
        path = self._folder / f"{next(self._generations)}.sqlite3"
        for end in ("", "-wal"):
            shutil.copy(f"{self._path}{end}", f"{path}{end}")
        accepted = set(self.accepted)
        if writing:
            await writing
        self.accepted = accepted
        self.spool.__exit__(None, None, None)
        self.spool = self._opened(path)
        await self.lose_connection()

    async def settle(self) -> None:
        """Let all go well until nothing waits."""
        await self.lose_connection()
        while await self.send(100):
            pass
        await self.acknowledge(10_000)
        await self.deliver(10_000)


async def live_through(actions: list[tuple[str, object]]) -> World:
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        try:
            for name, how in actions:
                await getattr(world, name)(how)
            await world.settle()
            assert len(world.spool) == 0
        finally:
            world.spool.__exit__(None, None, None)
    return world


@pytest.mark.timeout(120)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(ACTIONS, min_size=5, max_size=20))
def test_every_accepted_event_arrives_in_order_per_camera(
    actions: list[tuple[str, object]],
) -> None:
    world = asyncio.run(live_through(actions))
    assert world.accepted <= set(world.received)
    once = [json.loads(payload) for payload in dict.fromkeys(world.received)]
    assert len({(event["source"], event["id"]) for event in once}) == len(once)
    for camera in ("door", "yard"):
        numbers = [int(event["sequence"]) for event in once if event["subject"] == camera]
        assert numbers == sorted(set(numbers))
