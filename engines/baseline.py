"""How a person usually is: running means of what is measured, to compare the next window with."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import sqrt
from types import MappingProxyType
from typing import Final

from engines.clues import Clue

LEAST_WINDOWS: Final = 5
"""Before so many it is not known how a person usually is."""
_HORIZON: Final = 200
"""Windows after which old ones count less, as people tire and rooms change."""
_MOST_PEOPLE: Final = 32
_FARTHEST: Final = 5.0

SMALLEST: Final = MappingProxyType(
    {
        "voice.pitch": 8.0,
        "voice.pitch_range": 1.0,
        "voice.level": 1.5,
        "voice.rate": 0.4,
        "voice.pauses": 4.0,
        "voice.jitter": 0.3,
        "face.turning": 0.03,
        "face.mouth": 0.05,
    }
)
"""What is compared, and the smallest deviation that counts as one, in the clue's unit: whoever
speaks on one note is not excited by half a hertz. Ours."""


@dataclass(slots=True)
class _Running:
    """Mean and variance of one measure (Welford 1962), which forget after a horizon."""

    count: int = 0
    mean: float = 0.0
    variance: float = 0.0

    def add(self, value: float) -> None:
        self.count += 1
        share = 1 / min(self.count, _HORIZON)
        step = value - self.mean
        self.mean += share * step
        self.variance = (1 - share) * (self.variance + share * step * step)

    def z(self, value: float, smallest: float) -> float | None:
        if self.count < LEAST_WINDOWS:
            return None
        deviations = (value - self.mean) / max(sqrt(self.variance), smallest)
        return round(max(-_FARTHEST, min(_FARTHEST, deviations)), 2) + 0.0


@dataclass(slots=True)
class Baselines:
    """How each person of one camera usually is; forgets who was not seen for longest."""

    _people: "OrderedDict[object, dict[str, _Running]]" = field(default_factory=OrderedDict)

    def compared(self, person: object, clues: Sequence[Clue]) -> list[Clue]:
        """Return the clues with their deviations, where it is known how the person usually is."""
        usual = self._people.get(person, {})
        return [
            replace(clue, z=usual[clue.id].z(clue.value, SMALLEST[clue.id]))
            if clue.id in usual
            else clue
            for clue in clues
        ]

    def learn(self, person: object, clues: Sequence[Clue]) -> None:
        """Count a window of a person."""
        usual = self._people.setdefault(person, {})
        self._people.move_to_end(person)
        for clue in clues:
            if clue.id in SMALLEST:
                usual.setdefault(clue.id, _Running()).add(clue.value)
        while len(self._people) > _MOST_PEOPLE:
            self._people.popitem(last=False)
