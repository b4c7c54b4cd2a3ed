"""Sequences of the encoders → one tensor: each modality in rows of its own; the only copy."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from engines.errors import CredenceError
from engines.manifest import Modality, Part, packed_shape
from engines.window import SequenceWindow

VERSION: Final = "sequence-1"

Rows = npt.NDArray[np.float32]


class SequenceError(CredenceError):
    """A sequence is not of the encoder that the engine was trained on."""

    def __init__(self, kind: Modality, *, expected: int, found: tuple[int, ...]) -> None:
        super().__init__(
            f"the {kind} sequence has the shape {found}, where (n, {expected}) is wanted;"
            f" take it from the {kind} engine that the multilabel engine was trained on"
        )
        self.kind, self.expected, self.found = kind, expected, found


def tensor(window: SequenceWindow, parts: Mapping[Modality, Part]) -> Rows:
    """Return the sequences (1, S, W), below each other in the order of ``parts``.

    Each has as many rows as its part, and zeros to their right and below; what is absent is all
    zeros. Modalities without a part are left out. Raises SequenceError where a row is of another
    width than its part.
    """
    packed = np.zeros((1, *packed_shape(parts)), dtype=np.float32)
    start = 0
    for kind, part in parts.items():
        rows = window.sequences.get(kind, np.zeros((0, part.width), np.float32))
        if rows.shape[1:] != (part.width,):
            raise SequenceError(kind, expected=part.width, found=rows.shape)
        rows = shortened(rows, part.length)
        packed[0, start : start + len(rows), : part.width] = rows
        start += part.length
    return packed


def shortened(rows: Rows, most: int) -> Rows:
    """Return the rows (n, D) that are not padding, averaged in even runs down to ``most``."""
    there = rows[rows.any(axis=1)]
    if len(there) <= most:
        return there
    starts = np.arange(most) * len(there) // most
    counts = np.diff(starts, append=len(there))
    sums = np.add.reduceat(there, starts, axis=0)
    return np.asarray(sums / counts[:, None], dtype=np.float32)
