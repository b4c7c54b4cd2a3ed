"""Programs in processes of their own: what they say, when, and what they cost. Linux only."""

import argparse
import os
import platform
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import av

from engines.command import say
from engines.errors import CredenceError
from engines.processors import processor_name, processors
from streamer.demo.rtp import describe

_PATIENCE_S = 60.0
_STOP_S = 10.0
_POLL_S = 0.01
_TURN_S = 0.1


@dataclass(frozen=True, slots=True)
class Line:
    """A line of standard output."""

    at_s: float
    """When it came, by time.monotonic(), which all processes share."""
    text: str


@dataclass(frozen=True, slots=True)
class Memory:
    """What a process holds."""

    rss_mb: float
    """Resident, shared pages in full."""
    pss_mb: float
    """Resident, each shared page divided by those who share it."""


class EndedError(CredenceError):
    """A program ended, or stayed silent, where it should have gone on."""

    def __init__(self, command: Sequence[str], said: str) -> None:
        shown = " ".join(["python", *command[1:]])
        last = (said.strip().splitlines() or ["nothing"])[-1]
        super().__init__(f"`{shown}` did not do what is measured; it said last: {last}")


class Program:
    """A running program; its standard output line by line, and standard error once it ended."""

    def __init__(self, module: str, *given: str) -> None:
        self._command = [sys.executable, "-m", module, *given]
        self.lines: list[Line] = []
        self._errors: list[str] = []
        self.began_s = time.monotonic()
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self._process.stdout
        assert self._process.stderr
        self._readers = [
            _reading(self._process.stdout, self._heard),
            _reading(self._process.stderr, self._errors.append),
        ]

    @property
    def errors(self) -> str:
        """What it has said on standard error."""
        return "".join(self._errors)

    @property
    def cpu_s(self) -> float:
        """Processor time of all its threads so far; EndedError if it has ended."""
        if self._process.poll() is not None:
            self.stop()
            raise EndedError(self._command, self.errors)
        # How Linux numbers the processor clock of another process (clock_getcpuclockid).
        return time.clock_gettime(~self._process.pid << 3 | 2)

    @property
    def memory(self) -> Memory:
        """What it holds now."""
        rollup = Path(f"/proc/{self._process.pid}/smaps_rollup").read_text()
        rows = (row.split() for row in rollup.splitlines()[1:])
        kb = {row[0].rstrip(":"): int(row[1]) for row in rows}
        return Memory(kb["Rss"] / 1024, kb["Pss"] / 1024)

    @contextmanager
    def slowed(self, cores: float) -> Iterator[None]:
        """Let it have so many cores, at most one, as a quota of a container does.

        That is pinned to one core, and stopped for a part of every tenth of a second.
        """
        for task in Path(f"/proc/{self._process.pid}/task").iterdir():
            os.sched_setaffinity(int(task.name), {max(os.sched_getaffinity(0))})
        ended = threading.Event()

        def turns() -> None:
            while not ended.wait(cores * _TURN_S):
                self._process.send_signal(signal.SIGSTOP)
                ended.wait((1 - cores) * _TURN_S)
                self._process.send_signal(signal.SIGCONT)

        thread = threading.Thread(target=turns, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def wait_for(self, enough: Callable[[list[Line]], bool]) -> None:
        """Return once its lines so far are enough; raise EndedError if that never comes."""
        wait_until(lambda: enough(self.lines) or self._process.poll() is not None)
        if not enough(self.lines):
            self.stop()  # its last words may be on their way
            if not enough(self.lines):
                raise EndedError(self._command, self.errors)

    def end(self) -> float:
        """Wait until it has ended by itself; return how long it ran."""
        self._process.wait(_PATIENCE_S)
        return time.monotonic() - self.began_s

    def stop(self) -> None:
        """End it as Ctrl-C would, and read what it still says."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
        for reader in self._readers:
            reader.join(_STOP_S)

    def _heard(self, text: str) -> None:
        self.lines.append(Line(time.monotonic(), text))


def wait_until(come: Callable[[], bool], patience_s: float = _PATIENCE_S) -> bool:
    """Wait for something; return whether it has come in time."""
    until_s = time.monotonic() + patience_s
    while not (there := come()) and time.monotonic() < until_s:
        time.sleep(_POLL_S)
    return there


@contextmanager
def running(module: str, *given: str) -> Iterator[Program]:
    """Run a module as a program for as long as the context lasts."""
    program = Program(module, *given)
    try:
        yield program
    finally:
        program.stop()


def arguments(about: str | None) -> argparse.ArgumentParser:
    """Return a command's parser that wants a clip and the face detector's model."""
    asked = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    asked.add_argument("clip", type=clip, help="a recording with pictures and sound")
    asked.add_argument("--yunet", type=existing, required=True, help="the face detector's model")
    return asked


def run(main: Callable[[], None]) -> None:
    """Run a benchmark; what a user can mend is one sentence on standard error and exit code 2."""
    try:
        main()
    except CredenceError as error:
        say(Path(sys.argv[0]).stem, str(error))
        sys.exit(2)


def clip(text: str) -> Path:
    """Read an argument that names a clip; refuse what cannot be played as a camera."""
    path = existing(text)
    try:
        with av.open(str(path)) as container:
            kinds = {stream.type for stream in container.streams}
            long = container.duration
    except (av.FFmpegError, OSError) as error:
        raise argparse.ArgumentTypeError(f"{text} is no recording ({error.strerror})") from None
    if not {"video", "audio"} <= kinds or not long:
        raise argparse.ArgumentTypeError(f"{text} must have pictures, sound and a length")
    try:
        describe(path)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text} holds {error}; what is served are H.264, and AAC, Opus or PCMU"
        ) from None
    return path


def existing(text: str) -> Path:
    """Read an argument that names a file or folder; refuse what is not there."""
    if not (path := Path(text)).exists():
        raise argparse.ArgumentTypeError(f"there is no {text}")
    return path


def settings(yunet: Path, whisper: Path | None = None) -> list[str]:
    """Return the options of `credence` by which the benchmarks run it."""
    return ["--set", f"faces.model={yunet}", "--set", f"transcript.model={whisper or 'none'}"]


def machine() -> str:
    """Return a line about this machine."""
    model = processor_name() or platform.machine()
    return f"{model}, {processors()} cores, Python {platform.python_version()}"


def _reading(stream: IO[str], heard: Callable[[str], None]) -> threading.Thread:
    def read() -> None:
        with stream:
            for line in stream:
                heard(line)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread
