"""Where the log goes: standard error, or into what is shown on the terminal."""

import logging
import sys
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog


def log_to_stderr(level: int = logging.INFO) -> None:
    """Write lines for people to standard error, whatever it is at the time."""
    structlog.configure(
        processors=[
            structlog.processors.TimeStamper("iso"),
            structlog.processors.add_log_level,
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )


@contextmanager
def warnings_to(note: Callable[[str], None]) -> Iterator[None]:
    """Hand warnings, as sentences, to what owns the terminal meanwhile; leave the rest out."""

    def take(_logger: object, _method: str, entry: MutableMapping[str, Any]) -> str:
        what, error = entry.pop("event"), entry.pop("exc_info", None)
        facts = "".join(f", {key} {value}" for key, value in entry.items())
        note(f"{what}{facts}" + (f" ({type(error).__name__}: {error})" if error else ""))
        raise structlog.DropEvent

    before = structlog.get_config()
    wrapper = structlog.make_filtering_bound_logger(logging.WARNING)
    structlog.configure(processors=[take], wrapper_class=wrapper)
    try:
        yield
    finally:
        structlog.configure(**before)
