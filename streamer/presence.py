"""What a camera's node says of each turn it takes: its status, a line of the log, its metrics."""

from typing import Final

import structlog

from streamer.connection import Connection, State
from streamer.metrics import CameraMetrics
from streamer.sinks.fanout import Sinks
from streamer.topics import StatusFacts

log = structlog.get_logger()

_SAID: Final[dict[State, str]] = {"streaming": "online", "backing_off": "backing off"}


class Presence:
    """Keeps one camera's state, and tells whom it may concern."""

    def __init__(self, camera: str, metrics: CameraMetrics, sinks: Sinks) -> None:
        self._camera, self._metrics, self._sinks = camera, metrics, sinks
        self._connection = Connection()

    @property
    def state(self) -> State | None:
        """Where the camera is; None before the first turn."""
        return self._connection.state

    async def turn(
        self, state: State, why: str = "", *, online: bool | None = None, media: str = ""
    ) -> None:
        """Go to a state, as `Connection.turn` does; the log also says ``media``."""
        before = self.state
        if (status := self._connection.turn(state, why, online=online)) is None:
            return
        if state != before:
            told = {"media": media, "why": "" if state in ("streaming", why) else why}
            facts = {name: text for name, text in told.items() if text}
            log.info(f"camera {self._camera}: {_SAID.get(state, state)}", **facts)
        self._metrics.turned(status)
        beside = StatusFacts(state=state, since=status.since)
        await self._sinks.status(self._camera, status.online, why, beside)
