"""A node without pictures: numbered events through the real spool to a broker, until killed.

It prints `CAMERA SEQUENCE` for each event that the spool has accepted. SIGTERM lets it deliver
what waits.
"""

import asyncio
import contextlib
import signal
import sys
from itertools import repeat
from pathlib import Path

from streamer.broker import Broker
from streamer.logs import log_to_stderr
from streamer.sinks.mqtt import MqttSink
from streamer.sinks.spool import Spool
from streamer.sinks.spool_store import Bounds
from tests.streamer.events import event_of

RECONNECT_S = 0.05


async def feed(spool: Spool, sink: MqttSink, camera: str, every_s: float) -> None:
    """Put a camera's events, going on from the last that was ever accepted."""
    number = spool.next_sequence(camera)
    while True:
        refused = spool.lost["unwritable"]
        await sink.put(event_of(camera, number))
        if spool.lost["unwritable"] == refused:
            print(camera, number, flush=True)
        number += 1
        await asyncio.sleep(every_s)


async def run(port: int, spool: Spool, cameras: int, every_s: float) -> None:
    """Feed until told to stop, then deliver what waits."""
    broker = Broker("127.0.0.1", port)
    sink = MqttSink(broker, "lab", spool, delays=lambda: repeat(RECONNECT_S))
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(sink.run())
        feeding = [tasks.create_task(feed(spool, sink, f"c{n}", every_s)) for n in range(cameras)]
        await stopped.wait()
        for task in feeding:
            task.cancel()
        await asyncio.wait(feeding)
        await sink.close()


def main(port: str, folder: str, cameras: str, every_s: str) -> None:
    """Run on a spool in a folder."""
    log_to_stderr()
    with Spool.open(Path(folder) / "spool.sqlite3", Bounds()) as spool:
        asyncio.run(run(int(port), spool, int(cameras), float(every_s)))


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        main(*sys.argv[1:])
