"""How much later the sound of a live stream comes than its pictures of the same time."""

import math
from collections import deque
from collections.abc import Collection
from typing import Final

from engines.manifest import Modality

LEAST_SHARED: Final = 0.5
"""Sound and pictures that share less of a window are judged apart: most is of another time."""

_RECENT_S: Final = 5.0
"""So far back is looked; a clock of the stream that was set right is followed within that."""
_TOLERATED_S: Final = 0.4
"""So far apart come good ones: a camera takes longer to encode a picture than a sound."""
_SETTLED_S: Final = 2.0
"""A stream begins with what its sender has kept, which comes all at once."""


def shared(skew_s: float | None, length_s: float) -> float:
    """Return which share of a window's pictures surely shows the time of its sound, in [0, 1].

    1 - (|skew| - 0.4 s) / length, and 1 where the skew is smaller or not known. Ours.
    """
    if skew_s is None or length_s <= 0:
        return 1.0
    beyond_s = max(0.0, abs(skew_s) - _TOLERATED_S)
    return max(0.0, 1.0 - beyond_s / length_s)


def shared_by(kinds: Collection[Modality], skew_s: float | None, length_s: float) -> float:
    """Return how far what these modalities say of a window is of one time, in [0, 1]."""
    return shared(skew_s, length_s) if "face" in kinds and len(kinds) > 1 else 1.0


class Skew:
    """Compares when packets of sound and of pictures come with the times that are stamped on them.

    A packet cannot come before it was made, but after any wait on its way, so of each track the
    one that comes earliest against its stamp tells (the lower envelope of arrival minus stamp).
    What holds up both alike, a burst, a gulp or a stall, cancels out. Ours.

    What it tells is right to about 0.1 s, plus what a camera needs longer to encode the one than
    the other. It does not see sound that is at fault under stamps that are right.
    """

    def __init__(self) -> None:
        self._sound, self._pictures = _Envelope(), _Envelope()

    def took(self, media_s: float, came_s: float, *, sound: bool) -> None:
        """Note a packet: its stamp, and when it was taken, by a clock that is never set."""
        (self._sound if sound else self._pictures).took(media_s, came_s)

    @property
    def skew_s(self) -> float | None:
        """Seconds; above 0 where sound comes later. None while one of them does not come."""
        newest_s = max(self._sound.came_s, self._pictures.came_s)
        late_s = self._sound.least_s(newest_s), self._pictures.least_s(newest_s)
        if late_s[0] is None or late_s[1] is None:
            return None
        return round(late_s[0] - late_s[1], 3)


class _Envelope:
    """The least that packets of one track came late in the last seconds."""

    def __init__(self) -> None:
        self._late_s: deque[tuple[float, float]] = deque()
        """When packets came and how late, but for those that a later one undercuts."""
        self._began_s = math.inf
        self.came_s = -math.inf

    def took(self, media_s: float, came_s: float) -> None:
        late_s = came_s - media_s
        if came_s - self.came_s > _RECENT_S:
            self._late_s.clear()
            self._began_s = came_s
        while self._late_s and self._late_s[-1][1] >= late_s:
            self._late_s.pop()
        self._late_s.append((came_s, late_s))
        while came_s - self._late_s[0][0] > _RECENT_S:
            self._late_s.popleft()
        self.came_s = came_s

    def least_s(self, now_s: float) -> float | None:
        """Return it, once it can be known."""
        if now_s - self.came_s > _SETTLED_S or self.came_s - self._began_s < _SETTLED_S:
            return None
        return self._late_s[0][1]
