"""Pictures that show nothing: black, or standing still."""

import numpy as np
import numpy.typing as npt

from streamer.flow import VideoFrame

BLACK_AFTER_S = 5.0
FROZEN_AFTER_S = 20.0
"""Longer than cameras go between two whole pictures: between them a still scene may not change."""

_BLACK = 6.0
"""Mean of all pixels, of 255: noise in a dark room is above, a covered lens below."""


class PictureWatch:
    """Notices a stream that goes on and shows nothing. Says each thing once."""

    def __init__(
        self, black_after_s: float = BLACK_AFTER_S, frozen_after_s: float = FROZEN_AFTER_S
    ) -> None:
        self._limits_s = {"black": black_after_s, "frozen": frozen_after_s}
        self._since_s: dict[str, float] = {}
        self._said: set[str] = set()
        self._last: npt.NDArray[np.uint8] | None = None

    def look(self, frame: VideoFrame) -> str | None:
        """Return what is wrong with the picture, once it has been so for some seconds."""
        black = float(frame.small.mean()) < _BLACK
        frozen = self._last is not None and np.array_equal(self._last, frame.small)
        self._last = frame.small
        if self._lasts("black", black, frame.pts_s):
            return "the picture is black; is the lens covered, or the room dark?"
        if self._lasts("frozen", frozen and not black, frame.pts_s):
            return "the picture does not change any more; restart the camera if it should"
        return None

    def _lasts(self, what: str, now: bool, at_s: float) -> bool:
        """Return whether this has just lasted long enough to be said."""
        if not now:
            self._since_s.pop(what, None)
            return False
        since_s = self._since_s.setdefault(what, at_s)
        if what in self._said or at_s - since_s < self._limits_s[what]:
            return False
        self._said.add(what)
        return True
