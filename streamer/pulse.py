"""When packets of picture and sound came last, and whether one has stopped coming."""

from dataclasses import dataclass, field
from typing import Final, Literal

Medium = Literal["picture", "sound"]

STALL_S: Final = 5.0
"""A medium of which nothing has come for so long has stalled. **ours**: over the longest pause of a
healthy stream, half of what it takes until a silent camera is lost."""
_RARE: Final = 3.0
"""One that comes rarely has stalled only after so many of its usual pauses. **ours**"""


@dataclass(slots=True)
class _Beat:
    last_s: float
    longest_s: float = 0.0
    usual_s: float = 0.0
    """The second longest pause: a single one is an outage, the next as long is a habit."""
    count: int = 1

    def took(self, at_s: float) -> None:
        pause_s = at_s - self.last_s
        self.usual_s = sorted((self.longest_s, self.usual_s, pause_s))[1]
        self.longest_s = max(self.longest_s, pause_s)
        self.last_s = at_s
        self.count += 1


@dataclass(frozen=True, slots=True)
class Stall:
    """What has stopped coming over a connection that stands."""

    what: Medium | Literal["everything"]
    silent_s: float = field(compare=False)
    limit_s: float = field(compare=False)
    """It has stalled since it was silent for so long."""

    @property
    def partial(self) -> bool:
        """Whether another medium goes on."""
        return self.what != "everything"

    def lasts(self, away_s: float) -> bool:
        """Return whether it has gone on for so long, and for much longer than a pause."""
        return self.silent_s >= max(away_s, 2 * self.limit_s)

    def __str__(self) -> str:
        match self.what:
            case "everything":
                return f"nothing has come for {self.limit_s:.0f} s"
            case "picture":
                return f"no picture for {self.limit_s:.0f} s; sound goes on"
            case "sound":
                return f"no sound for {self.limit_s:.0f} s; the picture goes on"


class Pulse:
    """The packets of one connection. One thread may note them while another asks.

    Times are seconds of any clock that never goes back. A medium counts once three of its packets
    have come: before that nothing is known of its pauses.
    """

    def __init__(self, stall_s: float = STALL_S) -> None:
        self._stall_s = stall_s
        self._beats: dict[Medium, _Beat] = {}

    def took(self, medium: Medium, at_s: float) -> None:
        """Note a packet."""
        if beat := self._beats.get(medium):
            beat.took(at_s)
        else:
            self._beats[medium] = _Beat(at_s)

    def stall(self, now_s: float) -> Stall | None:
        """Return what has stopped coming; None where all goes on that ever came."""
        known = {medium: beat for medium, beat in self._beats.copy().items() if beat.count > 2}
        silent: dict[Medium, tuple[float, float]] = {}
        for medium, beat in known.items():
            limit_s = max(self._stall_s, _RARE * beat.usual_s)
            if now_s - beat.last_s >= limit_s:
                silent[medium] = now_s - beat.last_s, limit_s
        if not silent:
            return None
        whole = len(silent) == len(known)
        return Stall("everything" if whole else next(iter(silent)), *min(silent.values()))
