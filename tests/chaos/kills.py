"""Brokers and nodes are killed in mid-flight; a subscriber counts what was lost."""

import random
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.subscriber import Books, Key, Subscriber
from tests.streamer.broker import Mosquitto

ROOT = Path(__file__).parents[2]
SAVES_ALL = """
persistence true
persistence_location {folder}/
autosave_on_changes true
autosave_interval 1
max_queued_messages 0
"""
CAMERAS, EVERY_S = 8, 0.1
_DELIVERED_S = 60.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was accepted, and what came of it."""

    accepted: set[Key]
    books: Books
    tracebacks: int
    """How many the node has printed."""

    @property
    def good(self) -> bool:
        """Whether every promise was kept."""
        books = self.books
        return not (self.lost or books.out_of_order or books.ambiguous or self.tracebacks)

    @property
    def lost(self) -> set[Key]:
        """Accepted, and never seen by the subscriber."""
        return self.accepted - set(self.books.came)

    def __str__(self) -> str:
        once = len(self.books.once)
        return (
            f"{len(self.accepted)} events accepted, {len(self.lost)} lost, "
            f"{len(self.books.came) - once} duplicates, {self.books.out_of_order} out of order, "
            f"{self.books.ambiguous} ids of different events, {self.tracebacks} tracebacks"
        )


class Feeder:
    """The process that feeds, started again after each kill, and what it said it accepted."""

    def __init__(self, port: int, folder: Path) -> None:
        self.accepted: set[Key] = set()
        self.log = folder / "feeder.log"
        words = (port, folder, CAMERAS, EVERY_S)
        self._command = [sys.executable, "-m", "tests.chaos.feeder", *map(str, words)]
        self._start()

    def wait(self) -> None:
        """Wait until it feeds."""
        assert self._feeding.wait(20)

    def kill(self) -> None:
        """SIGKILL it, and start another."""
        self._process.kill()
        self._end()
        self._start()

    def stop(self) -> None:
        """Let it deliver what waits."""
        self._process.terminate()
        self._end()
        assert self._process.returncode == 0

    def _start(self) -> None:
        pipe = subprocess.PIPE
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                self._command, stdout=pipe, stderr=log, text=True, cwd=ROOT
            )
        self._feeding = threading.Event()
        told = (self._process, self._feeding)
        self._reader = threading.Thread(target=self._read, args=told, daemon=True)
        self._reader.start()

    def _end(self) -> None:
        self._process.wait(_DELIVERED_S)
        self._reader.join()

    def _read(self, process: "subprocess.Popen[str]", feeding: threading.Event) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                if line.endswith("\n"):
                    camera, number = line.split()
                    self.accepted.add((camera, int(number)))
                    feeding.set()


def schedule(broker_kills: int, node_kills: int, seed: int) -> Sequence[str]:
    """Return what is killed, one after the other."""
    order = ["broker"] * broker_kills + ["node"] * node_kills
    random.Random(seed).shuffle(order)
    return order


def run(folder: Path, victims: Sequence[str], seed: int = 0) -> Outcome:
    """Kill each victim after another pause, and let the rest be delivered."""
    pause_s = random.Random(seed).uniform
    broker = Mosquitto(folder, settings=SAVES_ALL.format(folder=folder)).start()
    subscriber = Subscriber(broker.port)
    feeder = Feeder(broker.port, folder)
    try:
        for victim in victims:
            feeder.wait()
            time.sleep(pause_s(0.2, 2.0))
            if victim == "node":
                feeder.kill()
            else:
                broker.kill()
                time.sleep(pause_s(0.0, 0.5))
                broker.start()
        feeder.wait()
        feeder.stop()
        subscriber.wait_for(feeder.accepted, _DELIVERED_S)
    finally:
        subscriber.close()
        broker.kill()
    return Outcome(feeder.accepted, subscriber.books, feeder.log.read_text().count("Traceback"))
