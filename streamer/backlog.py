"""Is a live stream behind what its camera has sent, and what is left undecoded then?"""

import math
from typing import Final

_BEHIND_S: Final = 0.2
_DRIFT: Final = 1e-3
"""The clocks of cameras differ by less, in seconds per second."""
_STALE_S: Final = 0.5
"""Pictures that are taken so late are left out, where that is allowed."""
_STALE_SOUND_S: Final = 1.0
_SKIPPED_S: Final = 1.0
_GAINED_S: Final = 0.25


class Backlog:
    """Compares the times of packets with the clock: late is what comes later than others did.

    That a packet was waited for does not tell: on a busy machine each is, as its thread gets the
    processor late, and who rested then would fall behind for good.
    """

    def __init__(self) -> None:
        self.late_s = 0.0
        """How much later the last packet was taken than others were. Any thread may read it."""
        self.begin()

    def begin(self) -> None:
        """A new connection."""
        self._least_s, self._media_s, self._came_s = math.inf, -math.inf, 0.0
        self.late_s = 0.0

    @property
    def behind(self) -> bool:
        """Whether more is there than the last packet."""
        return self.late_s > _BEHIND_S

    def took(self, media_s: float, came_s: float) -> None:
        """Note a packet of one track: its time, and when it was taken."""
        if media_s < self._media_s:  # the camera's clock was set back
            self._least_s = math.inf
        late_s = came_s - media_s
        self._least_s = min(late_s, self._least_s + _DRIFT * (came_s - self._came_s))
        self._media_s, self._came_s = media_s, came_s
        self.late_s = late_s - self._least_s

    def forgive(self) -> None:
        """Take what comes from now on for as soon as it can be."""
        self._least_s += self.late_s
        self.late_s = 0.0


class Skipping:
    """Leaves packets undecoded that are late, until the newest is reached."""

    def __init__(self, backlog: Backlog) -> None:
        self.armed = False
        """Whether it ever might leave out anything."""
        self._backlog = backlog
        self._began: tuple[float, float] | None = None
        self._until_key = False

    def leaves(self, late_s: float, now_s: float, *, picture: bool, key: bool, may: bool) -> bool:
        """Return whether the packet that was just taken is left out.

        ``late_s`` is how late what has been decoded is taken. Pictures are left out, up to the next
        that needs none before it, and sound that is far behind; nothing once it ``may`` not be.
        """
        late_s = max(late_s, self._backlog.late_s)
        if may and late_s > _STALE_S:
            self._begin(now_s)
        elif not may or late_s <= _BEHIND_S:
            self._began = None
        if self._began is not None:
            return picture or self._backlog.late_s > _STALE_SOUND_S
        self._until_key = self._until_key and not (picture and key)
        return picture and self._until_key

    def _begin(self, now_s: float) -> None:
        self._until_key, late_s = True, self._backlog.late_s
        began_s, at_first_s = self._began = self._began or (now_s, late_s)
        if (
            at_first_s > _STALE_S
            and now_s - began_s > _SKIPPED_S
            and late_s > at_first_s - _GAINED_S
        ):
            # Who decodes nothing and still gains nothing has all that there is: the way is longer.
            self._backlog.forgive()
