"""A lesson: what a teacher wrote down for a student (`python -m train.distil` makes one)."""

import io
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from engines.labels import EMOTIONS
from engines.preprocess.text import BUCKETS
from train.data.samples import DataError


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """Texts with what the teacher hears in them, and where a student's table of pieces begins."""

    texts: tuple[str, ...]
    targets: npt.NDArray[np.float32]
    """(N, 7) share of each emotion, every row of sum 1."""
    table: npt.NDArray[np.float32]
    """(32768, W) of which the pieces of a word sum to the word's vector; row 0 is 0."""

    def packed(self) -> bytes:
        """Return the lesson as an archive of NumPy, which `read_lesson` reads."""
        texts = np.frombuffer("\n".join(self.texts).encode(), dtype=np.uint8)
        targets, table = self.targets.astype("f2"), self.table.astype("f2")
        archive = io.BytesIO()
        np.savez_compressed(archive, texts=texts, targets=targets, table=table)
        return archive.getvalue()


def read_lesson(path: Path) -> Lesson:
    """Read a lesson; raise DataError if it is none."""
    try:
        with np.load(path) as archive:
            texts = tuple(archive["texts"].tobytes().decode().split("\n"))
            targets = archive["targets"].astype(np.float32)
            table = archive["table"].astype(np.float32)
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise DataError(
            path,
            "is no lesson; make one with `python -m train.distil`, or take it out of the recipe",
        ) from error
    sums = targets.sum(axis=1, keepdims=True) if targets.ndim == 2 else np.zeros(1)
    whole = targets.shape == (len(texts), len(EMOTIONS)) and (np.abs(sums - 1) < 0.01).all()
    if not whole or table.ndim != 2 or len(table) != BUCKETS or not np.isfinite(table).all():
        raise DataError(path, "is a damaged lesson; make it again with `python -m train.distil`")
    return Lesson(texts, targets / sums, table)
