"""Pictures that show nothing: black, or standing still."""

import numpy as np
import numpy.typing as npt

from streamer.flow import Notice, VideoFrame

BLACK_AFTER_S = 5.0
FROZEN_AFTER_S = 20.0
"""Longer than cameras go between two whole pictures: between them a still scene may not change."""

_BLACK = 6.0
"""Mean of all pixels, of 255: noise in a dark room is above, a covered lens below."""


_BLACK_SAYS = "the picture is black; is the lens covered, or the room dark?"
_FROZEN_SAYS = "the picture does not change any more; restart the camera if it should"


class PictureWatch:
    """Notices a stream that goes on and shows nothing, and when it shows something again."""

    def __init__(
        self, black_after_s: float = BLACK_AFTER_S, frozen_after_s: float = FROZEN_AFTER_S
    ) -> None:
        self._limits_s = {"black": black_after_s, "frozen": frozen_after_s}
        self._since_s: dict[str, float] = {}
        self._said = ""
        self._last: npt.NDArray[np.uint8] | None = None

    def look(self, frame: VideoFrame) -> Notice | None:
        """Return what is wrong with the picture, when that has changed."""
        black = float(frame.small.mean()) < _BLACK
        still = self._last is not None and np.array_equal(self._last, frame.small)
        self._last = frame.small
        wrong = ""
        if self._lasts("frozen", still and not black, frame.pts_s):
            wrong = _FROZEN_SAYS
        if self._lasts("black", black, frame.pts_s):
            wrong = _BLACK_SAYS
        if wrong == self._said:
            return None
        self._said = wrong
        return Notice(wrong)

    def _lasts(self, what: str, now: bool, at_s: float) -> bool:
        """Return whether this has lasted long enough to be said."""
        if not now:
            self._since_s.pop(what, None)
            return False
        return at_s - self._since_s.setdefault(what, at_s) >= self._limits_s[what]
