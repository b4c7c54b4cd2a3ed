"""Damaged recordings and streams are played; nothing may crash, hang or print a traceback."""

import queue
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos import bases

ROOT = Path(__file__).parents[2]
PLAYER = (sys.executable, "-m", "tests.chaos.player")
_LIMIT_S = 30.0
_START_S = 60.0


@dataclass(slots=True)
class Outcome:
    """What came of each that was played."""

    ways: Counter[str] = field(default_factory=Counter)
    """How many were played in which way."""
    sentences: int = 0
    """How many ended with a sentence that says what is wrong."""
    wrong: list[str] = field(default_factory=list)
    """What must not be: number, what was played, what came of it."""
    longest_s: float = 0.0
    largest_mb: float = 0.0
    """The most memory that a player ever held."""

    @property
    def good(self) -> bool:
        """Whether every promise was kept."""
        return not self.wrong

    def __str__(self) -> str:
        ways = ", ".join(f"{count} {way}" for way, count in sorted(self.ways.items()))
        return (
            f"{self.ways.total()} inputs ({ways}): {len(self.wrong)} crashed, hung or with a "
            f"traceback, {self.sentences} sentences; the longest took {self.longest_s:.1f} s, "
            f"the largest player held {self.largest_mb:.0f} MB"
        )


class _Player:
    """The process that plays from one number on, until it ends, one way or another."""

    def __init__(self, folder: Path, seed: int, numbers: range) -> None:
        command = [*PLAYER, *map(str, (folder, seed, numbers.start, numbers.stop))]
        self._errors = (folder / "player.log").open("w+")
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=self._errors, text=True, cwd=ROOT
        )
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def line(self, within_s: float) -> str:
        """Return its next line; nothing when it has ended, queue.Empty if it stays silent."""
        return self._lines.get(timeout=within_s).strip()

    def memory_mb(self) -> float:
        """Return the most it has held so far; 0 once it has ended."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        peaks = (row for row in status.splitlines() if row.startswith("VmHWM"))
        return max((int(row.split()[1]) / 1024 for row in peaks), default=0.0)

    def end(self) -> str:
        """Kill it if it still runs; return how it ended and what it said last."""
        if self._reader.is_alive():
            self._process.kill()
        code = self._process.wait()
        self._reader.join()
        with self._errors as errors:
            errors.seek(0)
            last = (errors.read().strip().splitlines() or [""])[-1]
        return f"exit code {code} {last}"

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as said:
            for line in said:
                self._lines.put(line)
        self._lines.put("")


def run(folder: Path, count: int, seed: int = 0) -> Outcome:
    """Play so many, each made from the seed and its number alone."""
    bases.make(folder)
    outcome, first = Outcome(), 0
    while first < count:
        first = _some(folder, seed, range(first, count), outcome)
    return outcome


def _some(folder: Path, seed: int, numbers: range, outcome: Outcome) -> int:
    """Play until all is done or a player ends; return the number that follows."""
    player = _Player(folder, seed, numbers)
    for number in numbers:
        if problem := _one(player, number, outcome):
            outcome.wrong.append(f"{problem}, {player.end()}")
            return number + 1
    player.end()
    return numbers.stop


def _one(player: _Player, number: int, outcome: Outcome) -> str:
    """Follow one; return why the player is good for no other."""
    about = str(number)
    try:
        if not (begun := player.line(_START_S)):
            return f"{about}: crashed before"
        about, began_s = begun, time.monotonic()
        came = player.line(_LIMIT_S).partition(" = ")[2]
    except queue.Empty:
        return f"{about}: hung"
    if not came:
        return f"{about}: crashed"
    outcome.ways[about.split()[1]] += 1
    outcome.longest_s = max(outcome.longest_s, time.monotonic() - began_s)
    outcome.largest_mb = max(outcome.largest_mb, player.memory_mb())
    outcome.sentences += came == "sentence"
    if came.startswith("BAD"):
        outcome.wrong.append(f"{about}: {came}")
    return ""
