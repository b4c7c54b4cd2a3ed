"""One line of the table that the long form prints."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """What was done, and what came of it."""

    what: str
    came: str
    good: bool
    """Whether what is promised was kept."""

    def __str__(self) -> str:
        return f"{self.what}: {self.came}{'' if self.good else ' (BROKEN)'}"
