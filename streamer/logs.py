"""Where the log goes: standard error, or into what is shown on the terminal."""

import errno
import logging
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, TextIO, cast

import structlog

PERIOD_S: Final = 60.0
"""What is said more than `OFTEN` times in so long is counted instead."""
OFTEN: Final = 5
DIFFERENT: Final = 200
"""So many different messages are told apart in a period; the rest count as one."""
_REST: Final = "other messages"

Entry = MutableMapping[str, Any]
Render = Callable[[object, str, Entry], str]


def log_to_stderr(level: int = logging.INFO) -> None:
    """Write lines for people to standard error, whatever it is at the time."""
    # Rich's tracebacks would show local variables, and with them the passwords of cameras.
    render = structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
    structlog.configure(
        processors=[
            structlog.processors.TimeStamper("iso"),
            structlog.processors.add_log_level,
            Bounded(lambda *said: without_credentials(render(*said))),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: structlog.PrintLogger(cast(TextIO, _Lossy(sys.stderr))),
    )


@dataclass(frozen=True, slots=True, weakref_slot=True)
class _Lossy:
    """A file that ends nobody who writes: a terminal may be closed, and who reads a pipe may go."""

    file: TextIO

    def write(self, text: str) -> None:
        with self._lossy():
            self.file.write(text)

    def flush(self) -> None:
        with self._lossy():
            self.file.flush()

    @contextmanager
    def _lossy(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in (errno.EPIPE, errno.EIO):  # it does not come back
                self._forget()

    def _forget(self) -> None:
        """Write to nowhere from now on: what is still buffered would spoil the exit code."""
        with suppress(OSError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.file.fileno())
            os.close(nowhere)


@dataclass(slots=True)
class _Told:
    until_s: float
    entry: Entry
    """The first of them."""
    times: int = 0


class Bounded:
    """Renders messages, each at most `OFTEN` times a minute; then one line says how many more came.

    That line comes before the next message of any kind. Messages are the same when their text and
    level are, whatever the facts beside them. Safe to use from several threads.
    """

    def __init__(self, render: Render, clock: Callable[[], float] = time.monotonic) -> None:
        self._render, self._clock = render, clock
        self._told: dict[tuple[str, str], _Told] = {}
        self._lock = threading.Lock()

    def __call__(self, logger: object, method: str, entry: Entry) -> str:
        """Return the lines to write; raise DropEvent where there are none."""
        with self._lock:
            entries = [*self._over(entry), *self._counted(method, entry)]
        if not entries:
            raise structlog.DropEvent
        return "\n".join(self._render(logger, method, each) for each in entries)

    def _over(self, now: Entry) -> Iterator[Entry]:
        """Forget whose period is over, and say how often they came."""
        now_s = self._clock()
        for key, told in list(self._told.items()):
            if told.until_s > now_s:
                return  # those after it began later
            del self._told[key]
            if (more := told.times - OFTEN) > 0:
                event = f"{told.entry['event']} … and {more} more within a minute"
                times = {"timestamp": now.get("timestamp")} if "timestamp" in now else {}
                yield {**told.entry, **times, "event": event}

    def _counted(self, method: str, entry: Entry) -> Iterator[Entry]:
        key = (method, str(entry["event"]))
        if key not in self._told and len(self._told) >= DIFFERENT:
            key = (method, _REST)
        if (told := self._told.get(key)) is None:
            kept = {name: entry[name] for name in ("timestamp", "level") if name in entry}
            told = _Told(self._clock() + PERIOD_S, {**kept, "event": key[1]})
            self._told[key] = told
        told.times += 1
        if told.times <= OFTEN:
            yield entry


def without_credentials(text: str) -> str:
    """Leave user name and password out of every address in a text: the last line of defence."""
    return re.sub(r"(?<=://)[^/\s]*@", "…@", text)


@contextmanager
def warnings_to(note: Callable[[str], None]) -> Iterator[None]:
    """Hand warnings, as sentences, to what owns the terminal meanwhile; leave the rest out."""

    def take(_logger: object, _method: str, entry: Entry) -> str:
        what, error = entry.pop("event"), entry.pop("exc_info", None)
        facts = "".join(f", {key} {value}" for key, value in entry.items())
        said = f"{what}{facts}" + (f" ({type(error).__name__}: {error})" if error else "")
        note(without_credentials(said))
        raise structlog.DropEvent

    before = structlog.get_config()
    wrapper = structlog.make_filtering_bound_logger(logging.WARNING)
    structlog.configure(processors=[take], wrapper_class=wrapper)
    try:
        yield
    finally:
        structlog.configure(**before)
