"""The states of a camera, and which may follow which. Pure: `presence.py` tells others."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final, Literal

State = Literal["connecting", "streaming", "stalled", "backing_off", "disabled", "ended"]
"""`stalled`: picture, sound or both have stopped coming over a connection that stands.
`backing_off`: it was lost, or could not be reached, and is tried again. `ended`: a file has, the
node ends, or what ran ends as the camera is changed or disabled."""

FOLLOWS: Final[Mapping[State | None, frozenset[State]]] = MappingProxyType(
    {
        None: frozenset({"connecting", "disabled", "ended"}),
        "connecting": frozenset({"streaming", "backing_off", "disabled", "ended"}),
        "streaming": frozenset({"stalled", "backing_off", "disabled", "ended"}),
        "stalled": frozenset({"streaming", "backing_off", "disabled", "ended"}),
        "backing_off": frozenset({"connecting", "disabled", "ended"}),
        "disabled": frozenset({"connecting", "ended"}),
        "ended": frozenset({"connecting", "disabled"}),
    }
)
"""Which states may follow each; None is before the first."""


class ImpossibleTurnError(ValueError):
    """A state cannot follow another: an error of this program."""

    def __init__(self, state: State | None, following: State) -> None:
        super().__init__(f"{following} cannot follow {state}")


@dataclass(frozen=True, slots=True)
class Status:
    """How a camera is."""

    state: State
    since: datetime
    """When the state began."""
    online: bool
    """Whether media comes: while it streams, or while one of picture and sound has stalled."""
    why: str = ""
    """What is wrong, in sentences for people; empty where all is well."""


class Connection:
    """Where a camera is among its states."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self.status: Status | None = None
        """None before the first turn."""

    @property
    def state(self) -> State | None:
        """The state alone."""
        return self.status.state if self.status else None

    def turn(self, state: State, why: str = "", *, online: bool | None = None) -> Status | None:
        """Go to a state, or stay in it with other words; return the status if that is new.

        ``online`` need only be given where the state does not tell. Raises ImpossibleTurnError.
        """
        online = state == "streaming" if online is None else online
        before = self.status
        if before and before.state == state:
            self.status = replace(before, online=online, why=why)
        elif state in FOLLOWS[self.state]:
            self.status = Status(state, self._now(), online, why)
        else:
            raise ImpossibleTurnError(self.state, state)
        return self.status if self.status != before else None
