"""A daemon thread for blocking calls: never the default executor, which would hold the exit."""

import asyncio
import queue
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import ParamSpec, TypeVar

from streamer.threads import NativeThread

P = ParamSpec("P")
R = TypeVar("R")


class Worker:
    """Runs calls one after the other on its own thread, which the first one starts."""

    def __init__(self, name: str) -> None:
        # Bounded by who calls: each camera waits for its answer.
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = NativeThread(self._run, name)
        self._began_s: float | None = None
        self.name = name

    @property
    def busy_s(self) -> float:
        """For how long the call has run that runs now; 0 between calls."""
        began_s = self._began_s
        return 0.0 if began_s is None else time.monotonic() - began_s

    async def run(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Await ``call(*args, **kwargs)``; what it raises is raised here."""
        loop = asyncio.get_running_loop()
        result: asyncio.Future[R] = loop.create_future()

        def work() -> None:
            try:
                value = call(*args, **kwargs)
            except BaseException as error:  # raised again where it is awaited
                _settle(loop, result, partial(result.set_exception, error))
            else:
                _settle(loop, result, partial(result.set_result, value))

        self._calls.put(work)
        if self._thread.ident is None:
            self._thread.start()
        return await result

    def close(self) -> None:
        """Let the thread end after the calls that wait."""
        self._calls.put(None)

    def finished(self, within_s: float) -> bool:
        """Close, wait for the calls that wait, and say whether all came to their end. Blocks."""
        self.close()
        if self._thread.ident is not None:
            self._thread.join(within_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            self._began_s = time.monotonic()
            call()
            self._began_s = None


def _settle(
    loop: asyncio.AbstractEventLoop, result: "asyncio.Future[R]", settle: Callable[[], None]
) -> None:
    def unless_cancelled() -> None:
        if not result.done():
            settle()

    with suppress(RuntimeError):  # the loop has closed: nobody waits
        loop.call_soon_threadsafe(unless_cancelled)
