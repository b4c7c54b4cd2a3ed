"""Is a live stream behind what its camera has sent?"""

import math
from typing import Final

_BEHIND_S: Final = 0.2
_DRIFT: Final = 1e-3
"""The clocks of cameras differ by less, in seconds per second."""


class Backlog:
    """Compares the times of packets with the clock: late is what comes later than others did.

    That a packet was waited for does not tell: on a busy machine each is, as its thread gets the
    processor late, and who rested then would fall behind for good.
    """

    def __init__(self) -> None:
        self._least_s, self._media_s, self._came_s = math.inf, -math.inf, 0.0
        self.behind = False
        """Whether more is there than the last packet."""

    def took(self, media_s: float, came_s: float) -> None:
        """Note a packet of one track: its time, and when it was taken."""
        if media_s < self._media_s:  # the camera's clock was set back
            self._least_s = math.inf
        late_s = came_s - media_s
        self._least_s = min(late_s, self._least_s + _DRIFT * (came_s - self._came_s))
        self._media_s, self._came_s = media_s, came_s
        self.behind = late_s - self._least_s > _BEHIND_S
