"""What a node leaves out where it falls behind its cameras: what is missed least goes first."""

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Final

import structlog

from streamer.flow import Window
from streamer.metrics import CameraMetrics

log = structlog.get_logger()

_BEHIND_S: Final = 0.4
"""Media that is taken so late is a reason to leave out more."""
_WELL_S: Final = 0.2
"""Media that is taken no later than this is none."""
_PATIENCE_S: Final = 0.25
"""A node is behind for so long before each step up, shorter the further it is behind."""
_REST_S: Final = 10.0
"""It keeps up for so long before a step down; twice as long after each that was too soon."""
_LONGEST_REST_S: Final = 300.0
_LOOK_EVERY_S: Final = 0.05
_FORGOTTEN_S: Final = 2.0
"""A camera of which nothing was taken for longer tells nothing."""
_SETTLES_S: Final = 3.0
"""A camera that has just come tells nothing either: where many come at once, that passes."""
_KEPT_AMBIENT: Final = 4
"""One in so many stretches without speech is still judged."""


class Level(IntEnum):
    """How much is left out; each step also what those before it leave out."""

    NOTHING = 0
    AMBIENT = 1
    """Three of four stretches in which nobody speaks."""
    HALF = 2
    """Every second picture."""
    QUARTER = 3
    """Three of four pictures."""
    TRANSCRIPTS = 4
    MEDIA = 5
    """What a camera is behind with is not decoded."""


_AMBIENT: Final = "three of four windows in which nobody speaks"
_SAYS: Final = {
    Level.NOTHING: "nothing",
    Level.AMBIENT: _AMBIENT,
    Level.HALF: f"{_AMBIENT}, every second picture",
    Level.QUARTER: f"{_AMBIENT}, three of four pictures",
    Level.TRANSCRIPTS: f"{_AMBIENT}, three of four pictures, transcripts",
    Level.MEDIA: f"{_AMBIENT}, three of four pictures, transcripts, media that is late",
}


@dataclass(slots=True)
class Ladder:
    """Steps through the levels: fast up, several at a time where it is seldom fed, slowly down, one
    at a time.

    Between a step up and the next one down lie `_REST_S` or more. A step down that was too soon
    doubles that, until the node has kept up without leaving out anything for as long. Pure: it
    is fed with numbers and a clock.
    """

    level: Level = field(default=Level.NOTHING, init=False)
    _trend: int = field(default=0, init=False)
    _since_s: float = field(default=0.0, init=False)
    _fed_s: float = field(default=0.0, init=False)
    _rest_s: float = field(default=_REST_S, init=False)
    _eased: bool = field(default=False, init=False)
    """Whether the last step was one down."""

    def take(self, behind_s: float, now_s: float) -> bool:
        """Note how late media is taken now; return whether the level has changed."""
        trend = (behind_s > _BEHIND_S) - (behind_s <= _WELL_S)
        if trend != self._trend or now_s - self._fed_s > _FORGOTTEN_S:
            self._trend, self._since_s = trend, now_s
        self._fed_s = now_s
        held_s = now_s - self._since_s
        if trend > 0:
            return self._up(int(held_s / (_PATIENCE_S * _BEHIND_S / behind_s)), now_s)
        if trend < 0 and held_s >= self._rest_s:
            return self._down(now_s)
        return False

    def _up(self, steps: int, now_s: float) -> bool:
        if self.level is Level.MEDIA or not steps:
            return False
        if self._eased:
            self._rest_s = min(2 * self._rest_s, _LONGEST_REST_S)
        self.level = Level(min(self.level + steps, Level.MEDIA))
        self._since_s, self._eased = now_s, False
        return True

    def _down(self, now_s: float) -> bool:
        self._since_s = now_s
        if self.level is Level.NOTHING:
            self._rest_s, self._eased = _REST_S, False
            return False
        self.level, self._eased = Level(self.level - 1), True
        return True


class Shedding:
    """How far behind a node is, and how much it leaves out.

    A node is as late as half of its cameras at least are: one of two may have a poor network, but
    processors and judges are shared.
    """

    def __init__(self, changed: Callable[[Level], None] = lambda _: None) -> None:
        self._changed, self._ladder = changed, Ladder()
        self._late: dict[str, tuple[float, float]] = {}
        self._looked_s = float("-inf")

    @property
    def level(self) -> Level:
        """How much is left out. May be asked from any thread."""
        return self._ladder.level

    def took(self, camera: str, late_s: float, now_s: float) -> None:
        """Note how late media of a camera was taken."""
        self._late[camera] = late_s, now_s
        if now_s - self._looked_s >= _LOOK_EVERY_S:
            self._looked_s = now_s
            self._look(now_s)

    def gone(self, camera: str) -> None:
        """Nothing comes from a camera any more."""
        self._late.pop(camera, None)

    def _look(self, now_s: float) -> None:
        late_s = sorted(late for late, at in self._late.values() if now_s - at <= _FORGOTTEN_S)
        before, behind_s = self.level, late_s[(len(late_s) - 1) // 2]
        if not self._ladder.take(behind_s, now_s):
            return
        self._changed(self.level)
        if self.level > before:
            said = f"this machine falls behind its cameras; left out now: {_SAYS[self.level]}"
            log.warning(said, level=int(self.level), behind_s=round(behind_s, 2))
        else:
            said = f"this machine keeps up with its cameras; left out now: {_SAYS[self.level]}"
            log.info(said, level=int(self.level))


@dataclass(slots=True, eq=False)
class Relief:
    """What one camera is spared, and the count of it."""

    metrics: CameraMetrics
    shedding: Shedding
    _began_s: float | None = field(default=None, init=False)
    _late: tuple[float, float] = field(default=(0.0, 0.0), init=False)
    """How late its media was taken last, and when that was."""

    def took(self, late_s: float) -> None:
        """Note how late its media was taken."""
        now_s = time.monotonic()
        self._late = late_s, now_s
        self._began_s = now_s if self._began_s is None else self._began_s
        if now_s - self._began_s >= _SETTLES_S:
            self.shedding.took(self.metrics.name, late_s, now_s)

    def gone(self) -> None:
        """Nothing comes from it any more."""
        self._began_s, self._late = None, (0.0, 0.0)
        self.shedding.gone(self.metrics.name)

    @property
    def late_s(self) -> float:
        """How late its media is taken; 0 where none was taken lately. Any thread may ask."""
        late_s, at_s = self._late
        return late_s if time.monotonic() - at_s <= _FORGOTTEN_S else 0.0

    @property
    def one_in(self) -> int:
        """Of so many pictures one is looked at."""
        level = self.shedding.level
        return 4 if level >= Level.QUARTER else 2 if level >= Level.HALF else 1

    def thinned(self) -> None:
        """Count a picture that was left out."""
        self.metrics.shed("sampling")

    @property
    def skips(self) -> bool:
        """Whether media that is late is to be left undecoded."""
        return self.shedding.level >= Level.MEDIA

    async def windows(
        self, windows: AsyncIterator[Window], *, words: bool
    ) -> AsyncIterator[Window]:
        """Leave out windows in which nobody speaks, and with ``words`` also what was said."""
        last: tuple[str, float] | None = None
        left_out = 0
        async for window in windows:
            level, stretch = self.shedding.level, (window.epoch.id, window.start_s)
            if window.kind == "ambient":
                if stretch != last:  # all who are in view are judged, or none
                    left_out = (left_out + 1) % _KEPT_AMBIENT if level >= Level.AMBIENT else 0
                last = stretch
                if left_out:
                    self.metrics.shed("ambient")
                    continue
            if words and window.voice is not None and level >= Level.TRANSCRIPTS:
                self.metrics.shed("transcript")
                yield replace(window, absent={**window.absent, "text": "overload"})
            else:
                yield window
