"""CMU-MOSEI: people who speak to their camera, with the emotions that three raters saw and heard.

The features are read as MMSA publishes them, the emotions from the table beside them.
"""

import csv
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from train.data.published import PARTS, checked, coded, open_published, read_pools
from train.data.samples import DataError
from train.data.sequences import Floats, Parts, Sequences

WIDTHS: Final = {"text": 768, "audio": 74, "vision": 35}
"""BERT's last layer, COVAREP, and FACET's action units, head and eyes."""

COLUMNS: Final = ("happy", "sad", "anger", "surprise", "disgust", "fear")
LABELS: Final = ("happiness", "sadness", "anger", "surprise", "disgust", "fear")

_FILES: Final = ("aligned_50.pkl", "unaligned_50.pkl")
_BETWEEN: Final = "$_$"


def read(data: Path) -> Parts:
    """Read `mosei/aligned_50.pkl` or `mosei/unaligned_50.pkl`, and `mosei/label.csv`.

    Samples without a line in the table are left out, and counted in the notes. Raises DataError
    for files that are missing or not what they should be.
    """
    folder = data / "mosei"
    path = _features(folder)
    truths = _truths(folder / "label.csv")
    published = open_published(path)
    parts, notes = {}, []
    for name in PARTS:
        parts[name], left_out = _part(path, name, published.pop(name), truths)
        if left_out:
            n = left_out + len(parts[name])
            notes.append(f"{left_out} of {n} samples of {name} have no labels and are left out")
    return checked(path, parts, notes)


def _features(folder: Path) -> Path:
    there = [name for name in _FILES if (folder / name).is_file()]
    if not there:
        raise DataError(folder, f"holds no {_FILES[0]}; give --data the folder that holds mosei")
    if len(there) > 1:
        raise DataError(folder, f"holds {' and '.join(there)}; leave the one there that is meant")
    return folder / there[0]


def _part(
    path: Path, name: str, content: dict[str, Any], truths: Mapping[str, Floats]
) -> tuple[Sequences, int]:
    """Return the labelled samples of a part, and how many have no labels."""
    pools = read_pools(path, name, content, WIDTHS)
    ids = _ids(path, name, content.get("id"))
    if len(ids) != len(pools["text"]):
        raise DataError(path, f"{name} has {len(ids)} ids for {len(pools['text'])} samples")
    rows = np.array([i for i, sample in enumerate(ids) if sample in truths], dtype=np.int64)
    if not len(rows):
        raise DataError(
            path,
            f"no sample of {name} has a line in label.csv: one is called {ids[0]!r}, and a line"
            f" {next(iter(truths), '')!r}",
        )
    names = tuple(ids[i] for i in rows.tolist())
    targets = np.stack([truths[sample] for sample in names])
    return (
        Sequences(pools, dict.fromkeys(pools, rows), targets, LABELS, names),
        len(ids) - len(rows),
    )


def _ids(path: Path, part: str, found: object) -> list[str]:
    ids = np.atleast_1d(found).tolist() if isinstance(found, np.ndarray) else found
    if not isinstance(ids, list) or not all(isinstance(sample, str) for sample in ids):
        raise DataError(path, f"{part} has no list of names under id")
    return ids


def _truths(path: Path) -> dict[str, Floats]:
    """Return the targets (6,) by sample, from its intensities (above 0 is shown) or its codes."""
    truths: dict[str, Floats] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file)
            columns = _columns(path, table.fieldnames or ())
            for line in table:
                sample = line["video_id"] + _BETWEEN + line["clip_id"]
                truth = _truth(path, table.line_num, [line[c] or "" for c in columns])
                if (truths.setdefault(sample, truth) != truth).any():
                    raise DataError(path, f"line {table.line_num}: {sample} has other labels above")
    except FileNotFoundError as error:
        raise DataError(path, "is not there; the labels lie beside the features") from error
    except (OSError, UnicodeDecodeError, csv.Error, TypeError) as error:
        raise DataError(path, "is no CSV table in UTF-8") from error
    return truths


def _columns(path: Path, there: Any) -> tuple[str, ...]:
    ids = {"video_id", "clip_id"} <= set(there)
    for columns in (COLUMNS, ("tgt",)):
        if ids and set(columns) <= set(there):
            return columns
    raise DataError(path, f"needs the columns video_id, clip_id, and {', '.join(COLUMNS)} or tgt")


def _truth(path: Path, line: int, cells: list[str]) -> Floats:
    if len(cells) == 1:
        if not re.fullmatch(r"\[[\d, ]*\]", cells[0]):
            raise DataError(path, f"line {line}: tgt {cells[0]!r:.40} is no list of codes")
        return coded(path, [int(code) for code in re.findall(r"\d{1,9}", cells[0])], LABELS)
    try:
        return np.array([float(cell) > 0 for cell in cells], np.float32)
    except ValueError as error:
        raise DataError(
            path, f"line {line}: {', '.join(cells)!r:.60} are no intensities"
        ) from error
