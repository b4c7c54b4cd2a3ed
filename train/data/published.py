"""The layout that features of whole corpora are published in: a dict of parts, each of arrays."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from train.data.pickles import read_pickle
from train.data.samples import DataError
from train.data.sequences import Floats, Parts, Sequences

PARTS: Final = ("train", "valid", "test")
MODALITIES: Final = ("text", "audio", "vision")

_BLOCK: Final = 256

Published = dict[str, dict[str, Any]]
"""By part, what it holds by name."""


def open_published(path: Path) -> Published:
    """Read the parts of a file without running anything of it; DataError where one is missing."""
    content = read_pickle(path)
    if not isinstance(content, dict) or not all(isinstance(content.get(p), dict) for p in PARTS):
        raise DataError(path, f"holds no dict of the parts {', '.join(PARTS)}")
    return content


def read_pools(
    path: Path, part: str, content: dict[str, Any], widths: Mapping[str, int]
) -> dict[str, Floats]:
    """Take the sequences (N, T, D) of every modality out of a part, as finite float32.

    Numbers that are none, or infinite, become 0, and so do the rows beyond `<modality>_lengths`,
    where the part has them. What can be written is mended where it lies, not copied. Raises
    DataError for sequences that are missing, of another width, or of another number of samples.
    """
    pools: dict[str, Floats] = {}
    for modality in MODALITIES:
        where = f"{modality} of {part}"
        pool = _array(path, where, content.pop(modality, None), widths.get(modality))
        _mend(pool)
        if (lengths := content.get(f"{modality}_lengths")) is not None:
            _pad(path, where, pool, lengths)
        pools[modality] = pool
    if len({len(pool) for pool in pools.values()}) > 1:
        counts = ", ".join(f"{len(pool)} of {m}" for m, pool in pools.items())
        raise DataError(path, f"{part} has other numbers of samples by modality: {counts}")
    return pools


def present(path: Path, which: Iterable[int], labels: Sequence[str]) -> Floats:
    """Return the targets (L,) of labels by their number; DataError for what is none."""
    target = np.zeros(len(labels), np.float32)
    for number in which:
        if number not in range(len(labels)):
            raise DataError(path, f"the number {number!r:.20} is none of {len(labels)} labels")
        target[number] = 1
    return target


def coded(path: Path, codes: Any, labels: Sequence[str]) -> Floats:
    """Return the targets (L,) of labels in TAILOR's code: 4 is the first, between 2 and 3."""
    try:
        numbers = [np.int64(code).item() - 4 for code in codes[1:-1]]  # a code is no huge number
    except (LookupError, TypeError, ValueError, OverflowError) as error:
        raise DataError(path, "has labels under tgt that are no lists of codes") from error
    return present(path, numbers, labels)


def checked(path: Path, parts: Mapping[str, Sequences], notes: Sequence[str]) -> Parts:
    """Return the parts of a corpus, with a note on the labels that a part is without.

    Raises DataError where a part is empty.
    """
    said = list(notes)
    for name, part in parts.items():
        if not len(part):
            raise DataError(path, f"{name} has no sample with labels")
        by_label = zip(part.labels, part.targets.T, strict=True)
        if unseen := [label for label, shown in by_label if not shown.any()]:
            said.append(f"nobody shows {', '.join(unseen)} in {name}")
    return Parts(parts["train"], parts["valid"], parts["test"], notes=tuple(said))


def _array(path: Path, where: str, found: object, width: int | None) -> Floats:
    if found is None:
        raise DataError(path, f"{where} is missing")
    try:
        with np.errstate(over="ignore"):  # what does not fit is infinite, and mended
            array = np.require(found, np.float32, ["C", "W", "E"])
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(path, f"{where} is no array of numbers") from error
    except MemoryError as error:
        raise DataError(path, f"{where} needs more memory than there is") from error
    if array.ndim != 3 or 0 in array.shape:
        raise DataError(path, f"{where} has the shape {array.shape}, not samples, rows and numbers")
    if width is not None and array.shape[2] != width:
        raise DataError(path, f"{where} has rows of {array.shape[2]} numbers instead of {width}")
    return array


def _mend(pool: Floats) -> None:
    for start in range(0, len(pool), _BLOCK):
        block = pool[start : start + _BLOCK]
        block[~np.isfinite(block)] = 0


def _pad(path: Path, where: str, pool: Floats, lengths: object) -> None:
    wrong = DataError(path, f"the lengths of {where} are not one number of rows a sample")
    try:
        found = np.asarray(lengths, np.int64)
    except (TypeError, ValueError, OverflowError) as error:
        raise wrong from error
    if found.shape != (len(pool),) or (found < 0).any():
        raise wrong
    for sequence, length in zip(pool, found.tolist(), strict=True):
        sequence[length:] = 0
