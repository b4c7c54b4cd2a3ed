"""Staying connected to one camera."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Final

import structlog

from streamer.handover import Handover
from streamer.link import backoff
from streamer.live import CameraError

log = structlog.get_logger()

STEADY_S: Final = 10.0
"""A connection that lasted longer makes the next delay the shortest again."""
LONGEST_S: Final = 30.0

camera_backoff = partial(backoff, 1.0, LONGEST_S)
"""Seconds to wait before each next attempt."""
_denied_backoff = partial(backoff, LONGEST_S, LONGEST_S)

Returned = Callable[[threading.Event], Iterator[None]]
"""Blocks until a camera that was away has come back, and yields then; until told to stop."""


def _unknown(_stop: threading.Event) -> Iterator[None]:
    return iter(())


class Reconnector:
    """Connects one camera again and again, for ever, with growing delays.

    One that ``returned`` says is back is tried at once. One that does not let this user in is
    asked seldom: the longest delay, from the first time.
    """

    def __init__(
        self,
        stop: asyncio.Event,
        delays: Callable[[], Iterator[float]] = camera_backoff,
        returned: Returned = _unknown,
    ) -> None:
        self._stop, self._delays, self._returned = stop, delays, returned
        self._told: str | None = None
        self._connected_s: float | None = None

    def connected(self) -> None:
        """Media has come: what happens next is news."""
        self._told = None
        self._connected_s = self._connected_s or asyncio.get_running_loop().time()

    async def hold(self, session: Callable[[], Awaitable[None]]) -> None:
        """Run ``session`` until it returns, or ``stop`` is set; again whenever the camera is lost.

        Every outage is one warning, and another only when its reason changes.
        """
        delays, clock = self._delays(), asyncio.get_running_loop().time
        while not self._stop.is_set():
            self._connected_s = None
            try:
                await session()
            except CameraError as error:
                self._warn(error)
                denied = error.denied
            else:
                return
            if self._connected_s is not None and clock() - self._connected_s > STEADY_S:
                delays = self._delays()
            delay_s = next(_denied_backoff() if denied else delays)
            if await self._back_within(delay_s, _unknown if denied else self._returned):
                delays = self._delays()

    async def _back_within(self, delay_s: float, returned: Returned) -> bool:
        """Wait for the camera, a delay or the stop; return whether it was the camera."""
        back = asyncio.create_task(_came_back(returned))
        stopped = asyncio.create_task(self._stop.wait())
        try:
            done, _ = await asyncio.wait(
                (back, stopped), timeout=delay_s, return_when=asyncio.FIRST_COMPLETED
            )
            return back in done
        finally:
            back.cancel()
            stopped.cancel()

    def _warn(self, error: CameraError) -> None:
        if error.problem != self._told and not self._stop.is_set():
            log.warning(f"{error}; trying again until it works")
        self._told = error.problem


async def _came_back(returned: Returned) -> None:
    async with Handover(returned, name="knock") as found:
        async for _ in found:
            return
    await asyncio.Future[None]()  # nothing tells
