"""What the spool costs: how long an event waits for the disk, and what the processor pays.

    python -m benchmarks.spool [--cameras 24] [--every-s 0.5]

Each camera puts an event every so often for ten seconds, at moments of its own; another task takes
and acknowledges each, as a broker would. The folder is a new one where temporary files lie. Beside
it stands the disk alone: the median of 100 writes of four kilobytes, each followed by `fsync`.
"""

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.processes import machine
from streamer.event import EmotionEvent
from streamer.sinks.spool import Spool
from streamer.sinks.spool_store import Bounds

LASTING_S = 10.0
_EXAMPLE = Path(__file__).parents[1] / "docs" / "events.md"


def main() -> None:
    """Print the figures of one run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.spool")
    parser.add_argument("--cameras", type=int, default=24)
    parser.add_argument("--every-s", type=float, default=0.5)
    given = parser.parse_args()
    event = example()
    with tempfile.TemporaryDirectory() as folder:
        synced_s = _synced_s(Path(folder) / "file")
        with Spool.open(Path(folder) / "spool.sqlite3", Bounds()) as spool:
            began_s = time.process_time()
            waits_s = asyncio.run(_measured(spool, event, given.cameras, given.every_s))
            spent_s = time.process_time() - began_s
    p50_ms, p99_ms = 1e3 * np.percentile(waits_s, [50, 99])
    print(machine())
    print(f"{given.cameras} cameras, an event every {given.every_s} s each: {len(waits_s)} events")
    print(
        f"an event has {len(event.model_dump_json())} bytes; the disk takes {synced_s * 1e3:.1f} ms"
    )
    print(f"on the disk after {p50_ms:.1f} ms (median), {p99_ms:.1f} ms (99 %)")
    print(f"{1e3 * spent_s / len(waits_s):.2f} ms of the processor per event")


async def _measured(spool: Spool, event: EmotionEvent, cameras: int, every_s: float) -> list[float]:
    waits_s: list[float] = []

    async def feed(number: int) -> None:
        body = event.data.model_copy(update={"camera": f"c{number}"})
        each = event.model_copy(update={"data": body})
        at_s = time.monotonic() + every_s * number / cameras
        for _ in range(int(LASTING_S / every_s)):
            await asyncio.sleep(max(0.0, at_s - time.monotonic()))
            began_s = time.perf_counter()
            await spool.put(each)
            waits_s.append(time.perf_counter() - began_s)
            at_s += every_s

    async with asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(_send(spool))
        feeding = [tasks.create_task(feed(number)) for number in range(cameras)]
        await asyncio.wait(feeding)
        await spool.close()
        await sending
    return waits_s


async def _send(spool: Spool) -> None:
    while taken := await spool.take():
        await spool.acknowledge(taken[0])


def _synced_s(path: Path) -> float:
    took_s = []
    with path.open("wb") as file:
        for _ in range(100):
            began_s = time.perf_counter()
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
            took_s.append(time.perf_counter() - began_s)
    return statistics.median(took_s)


def example() -> EmotionEvent:
    """Return the event that `docs/events.md` shows."""
    text = _EXAMPLE.read_text(encoding="utf-8").partition("```json\n")[2].partition("```")[0]
    return EmotionEvent.model_validate_json(text)


if __name__ == "__main__":
    main()
