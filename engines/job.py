"""What a plan is built for: one network, one precision, one machine."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engines.errors import CredenceError
from engines.gpu import Gpu
from engines.runtime import ENCODED, Batch

Precision = Literal["fp32", "fp16", "int8"]
"""Of the network's body, up to the embedding. Its head takes squares and logarithms and always
computes in single precision."""


class UnsupportedError(CredenceError):
    """A network cannot be built for a target, now or ever, with these versions."""


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """One plan to build or to load."""

    bundle: Path
    shape: tuple[int | None, ...]
    """Of the network's input; None is the batch."""
    precision: Precision
    max_batch: int
    """Larger batches are split."""
    gpu: Gpu | None
    """None on a CPU."""
    folder: Path
    """Where the plan's files are written, and read."""
    calibration: Batch | None = None
    """(N, ...) inputs that int8 ranges are taken from."""
    given: tuple[str, ...] = ENCODED
    """What the network gives, in its order; `sequence` may be missing."""

    @property
    def rows(self) -> tuple[int, ...]:
        """The shape of one row of the input."""
        return tuple(side or 1 for side in self.shape[1:])
