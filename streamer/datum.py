"""Does the media clock of a live stream still tell the time of day?"""

import math
from typing import Final

_OFF_S: Final = 3.0
"""Events may be dated so far off."""
_DRIFT: Final = 1e-3
"""The clocks of cameras differ by less, in seconds per second."""


class Datum:
    """Compares the media clock with the machine's since an epoch began.

    The machine's clock is set, by hours where it has none of its own that runs while it is off;
    a camera's drifts by seconds a day. Packets that are held up on their way are late for a while,
    so what counts is the one that is least late.
    """

    def __init__(self) -> None:
        self._late_s, self._came_s = math.inf, 0.0
        self._began_s: float | None = None

    def lost(self, media_s: float, came_s: float, wall_s: float) -> bool:
        """Note a packet: its time on the media clock, when it came by a clock that is never set,
        and by the wall clock. Return whether times of events are wrong by now."""
        grown_s = self._late_s + _DRIFT * (came_s - self._came_s)
        self._late_s, self._came_s = min(came_s - media_s, grown_s), came_s
        began_s = self._late_s + wall_s - came_s
        if self._began_s is None:
            self._began_s = began_s
        return abs(began_s - self._began_s) > _OFF_S
