"""Staying connected to one camera."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from functools import partial

import structlog

from streamer.link import backoff
from streamer.live import CameraError

log = structlog.get_logger()

STEADY_S = 10.0
"""A connection that lasted longer makes the next delay the shortest again."""

camera_backoff = partial(backoff, 1.0, 30.0)
"""Seconds to wait before each next attempt."""


class Reconnector:
    """Connects one camera again and again, for ever, with growing delays."""

    def __init__(
        self, stop: asyncio.Event, delays: Callable[[], Iterator[float]] = camera_backoff
    ) -> None:
        self._stop, self._delays = stop, delays
        self._told: str | None = None

    def connected(self) -> None:
        """Media has come: what happens next is news."""
        self._told = None

    async def hold(self, session: Callable[[], Awaitable[None]]) -> None:
        """Run ``session`` until it returns, or ``stop`` is set; again whenever the camera is lost.

        Every outage is one warning, and another only when its reason changes.
        """
        delays, clock = self._delays(), asyncio.get_running_loop().time
        while not self._stop.is_set():
            began_s = clock()
            try:
                await session()
            except CameraError as error:
                self._warn(error)
            else:
                return
            if clock() - began_s > STEADY_S:
                delays = self._delays()
            with suppress(TimeoutError):
                async with asyncio.timeout(next(delays)):
                    await self._stop.wait()

    def _warn(self, error: CameraError) -> None:
        if error.problem != self._told and not self._stop.is_set():
            log.warning(f"{error}; trying again until it works")
        self._told = error.problem
