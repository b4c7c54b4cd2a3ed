"""Stamps of a stream's packets → seconds on one media clock, and where that begins anew."""

import math
from dataclasses import dataclass, field
from typing import Final

_BACK_S: Final = 1.0
"""Stamps of one track that step further back were set anew."""
_APART_S: Final = 10.0
"""So far picture and sound may be apart, or a stream silent; beyond, stamps were set anew."""
_WITHIN_S: Final = 2.0
"""When both have been set anew, they are again as near as packets are interleaved."""
_DAY_S: Final = 86_400.0


@dataclass(slots=True)
class _Track:
    zero_s: float
    """Its stamp where the media clock stands at zero."""
    last_s: float = -math.inf
    """On the media clock."""
    carried: bool = False
    """Whether its stamps are still those of the epoch before."""


@dataclass(slots=True)
class Clock:
    """The media clock of a stream: an epoch, and seconds since that began.

    Stamps jump, wrap and step back, and picture and sound may do so at different times. The first
    that does begins a new epoch at zero. The other is taken to go on where it was, in step by
    arrival, until it jumps, too; it then follows the stamps of the first, or stays in step.
    """

    zero_s: float
    """The stamp of zero for a track of which nothing has come yet."""
    epoch: int = 0
    now_s: float = 0.0
    """The latest that was placed."""
    passed_s: float = 0.0
    """From the first epoch's zero to this one's, as far as the stamps tell."""
    _tracks: dict[str, _Track] = field(default_factory=dict)

    def place(self, track: str, stamp_s: float) -> float:
        """Return where on the clock something of a track belongs; `epoch` counts up if it jumps."""
        own = self._tracks.setdefault(track, _Track(self.zero_s))
        if self._jumps(own, stamp_s):
            if (zero_s := self._followed(own, stamp_s)) is not None:
                own.zero_s = zero_s
            elif own.carried:
                own.zero_s = stamp_s - self.now_s
            else:
                self._passed(stamp_s - own.zero_s - self.now_s)
                self._begin(self.now_s, carried=True)
                own.zero_s = stamp_s
            own.carried = False
        own.last_s = stamp_s - own.zero_s
        self.now_s = max(self.now_s, own.last_s)
        return own.last_s

    def at_s(self, track: str, stamp_s: float) -> float | None:
        """Return where a stamp would belong; None where that is not known yet."""
        own = self._tracks.get(track)
        return None if own is None or self._jumps(own, stamp_s) else stamp_s - own.zero_s

    def renew(self) -> None:
        """Begin a new epoch where this one has come to."""
        self._passed(0.0)
        self._begin(self.now_s, carried=False)

    def _followed(self, own: _Track, stamp_s: float) -> float | None:
        """Return the zero of another track that jumped before, and to where this one does now."""
        zeros = {track.zero_s for track in self._tracks.values()} - {own.zero_s}
        near = (zero for zero in zeros if abs(stamp_s - zero - self.now_s) <= _WITHIN_S)
        return next(near, None)

    def _passed(self, gap_s: float) -> None:
        self.passed_s += self.now_s + (gap_s if 0 < gap_s < _DAY_S else 0.0)

    def _begin(self, at_s: float, *, carried: bool) -> None:
        self.epoch, self.now_s = self.epoch + 1, 0.0
        self.zero_s += at_s
        for track in self._tracks.values():
            track.carried = carried
            track.zero_s += at_s
            track.last_s -= at_s

    def _jumps(self, track: _Track, stamp_s: float) -> bool:
        at_s = stamp_s - track.zero_s
        return at_s < track.last_s - _BACK_S or abs(at_s - self.now_s) > _APART_S
