"""Anyone's own data: a CSV that names files or holds texts, with a label each."""

import csv
import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from engines.errors import CredenceError
from engines.labels import EMOTIONS, Emotion, UnknownLabelError, emotion_named
from engines.manifest import Modality
from engines.preprocess import face
from train.data import CORPORA
from train.data.samples import DataError, Input, Part, Samples, check_file, one_hot
from train.data.sound import read_sound

COLUMNS: Final = ("path", "face", "voice", "text", "label", "group", "split")

_IN_ARCHIVE: Final = re.compile(r"npz:(?P<path>.+)#(?P<index>\d{1,18})")
_PARTS: Final[dict[str, Part]] = {"train": "train", "valid": "valid", "dev": "valid"}
_UNREADABLE_SHARE: Final = 0.01
_VALID_ONE_IN: Final = 5


class TableError(CredenceError):
    """A table that is missing, empty, or says something that no table can say."""

    def __init__(self, path: Path, problem: str, line: int | None = None) -> None:
        super().__init__(f"{path}{f', line {line}' if line else ''}: {problem}")
        self.path, self.problem, self.line = path, problem, line


class UnknownCorpusError(CredenceError):
    """A name that is none of the corpora known here."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name!r} is no corpus; use one of {', '.join(CORPORA)}")
        self.name = name


class UnreadableFilesError(CredenceError):
    """More than one in a hundred of a table's files cannot be read."""

    def __init__(self, path: Path, problems: list[str], of: int) -> None:
        shown = "; ".join(problems[:3]) + ("; …" if len(problems) > 3 else "")
        super().__init__(
            f"{path}: {len(problems)} of {of} files cannot be read: {shown} (the first beyond 1 %"
            f" stops it)"
        )
        self.path, self.problems = path, problems


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table."""

    sources: Mapping[str, str]
    """By column, a path, absolute or relative to the table's folder, `npz:file.npz#index`, or a
    text; what is missing is left out. At least one is there."""
    label: Emotion
    group: str
    """Who is seen or heard; empty where the table does not say."""
    part: Part | None
    """None where the table does not say."""


@dataclass(slots=True)
class Table:
    """A table whose rows are checked and whose files are not read yet."""

    path: Path
    columns: Mapping[Modality, str]
    """Where each modality stands."""
    rows: list[Row]
    unreadable: list[str] = field(default_factory=list)
    """What was wrong with each row that was skipped so far."""

    def inputs(self, kind: Modality) -> Iterator[tuple[Row, Input]]:
        """Read one modality of the rows that have it, as `items` reads all."""
        for row, items in self.items():
            if kind in items:
                yield row, items[kind]

    def items(self) -> Iterator[tuple[Row, dict[Modality, Input]]]:
        """Read the rows' files one by one, skipping rows with an unreadable one.

        Raises UnreadableFilesError as soon as more than 1 % are.
        """
        for row in self.rows:
            try:
                yield row, self._read(row)
            except DataError as error:
                self.skip(str(error))

    def skip(self, problem: str) -> None:
        """Count a row that cannot be read; raise UnreadableFilesError when more than 1 % are."""
        self.unreadable.append(problem)
        if len(self.unreadable) > _UNREADABLE_SHARE * len(self.rows):
            raise UnreadableFilesError(self.path, self.unreadable, len(self.rows))

    def _read(self, row: Row) -> dict[Modality, Input]:
        return {
            kind: _load(self.path.parent, row.sources[column], kind)
            for kind, column in self.columns.items()
            if column in row.sources
        }


def read(path: Path, kind: Modality, part: Part) -> Samples:
    """Read a part of a table as samples.

    Without a column `split`, every fifth group is for validation, or every fifth row where
    there are no groups either.
    """
    whole = open_table(path, kind)
    rows = [row for row, of in zip(whole.rows, _parts(whole.rows), strict=True) if of == part]
    if not rows:
        raise TableError(
            path, f"has no row to {part}; name five people or more, or mark some in a column split"
        )
    _check_groups(path, whole.rows)
    of_part = Table(path, whole.columns, rows)
    read_rows = list(of_part.inputs(kind))
    return Samples(
        [item for _, item in read_rows],
        one_hot([row.label for row, _ in read_rows]),
        tuple(path.name for _ in read_rows),
        tuple(row.sources[whole.columns[kind]] for row, _ in read_rows),
        tuple(row.group for row, _ in read_rows),
        tuple(of_part.unreadable),
    )


def open_table(path: Path, *kinds: Modality) -> Table:
    """Read and check a table for engines of these kinds; raise TableError at the first fault.

    A single kind stands in the column `path` or `text`, or in one of its own name where there is
    no `path`; several stand in one of their own name each, where an empty cell is a missing one.
    """
    columns = [kind if len(kinds) > 1 else _column(kind) for kind in kinds]
    found, rows = _read_rows(path, columns, instead=kinds)
    return Table(path, dict(zip(kinds, found, strict=True)), rows)


def open_recordings(path: Path) -> Table:
    """Read and check a table of recordings in a column `path`, as `open_table` does."""
    return Table(path, {}, _read_rows(path, ["path"])[1])


def write_corpus(corpus: str, data: Path, path: Path, part: Part) -> None:
    """Write a part of a corpus as a table that names its files where they lie."""
    if corpus not in CORPORA:
        raise UnknownCorpusError(corpus)
    samples = CORPORA[corpus].read(data, part)
    labels = [EMOTIONS[i] for i in samples.targets.argmax(axis=1)]
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            out = csv.writer(file, lineterminator="\n")
            out.writerow((_column(CORPORA[corpus].kind), "label", "group"))
            out.writerows(zip(samples.paths, labels, samples.people, strict=True))
    except OSError as error:
        raise TableError(path, f"cannot be written ({error.strerror})") from error


def _column(kind: Modality) -> str:
    return "text" if kind == "text" else "path"


def _read_rows(
    path: Path, columns: Sequence[str], instead: Sequence[str] = ()
) -> tuple[Sequence[str], list[Row]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.DictReader(file, skipinitialspace=True)
            if list(columns) == ["path"] and "path" not in (lines.fieldnames or ()):
                columns = [name for name in instead if name in (lines.fieldnames or ())] or columns
            _check_columns(path, lines.fieldnames, columns)
            rows = [_row(path, line, columns, lines.line_num) for line in lines]
    except FileNotFoundError as error:
        raise TableError(path, "no such file") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TableError(path, "is no CSV file in UTF-8 that can be read") from error
    if not rows:
        raise TableError(path, "has no rows below its header")
    return columns, rows


def _check_columns(path: Path, found: Any, sources: Sequence[str]) -> None:
    if not found:
        raise TableError(path, "is empty; its first line must name the columns")
    twice = sorted({column for column in COLUMNS if found.count(column) > 1})
    if twice:
        raise TableError(path, f"has the column {' and '.join(twice)} twice")
    missing = [column for column in (*sources, "label") if column not in found]
    if missing:
        remedy = "; separate columns by commas" if len(found) == 1 and ";" in found[0] else ""
        raise TableError(
            path,
            f"has no column {' and no column '.join(missing)}, only {', '.join(found)}{remedy}",
        )


def _row(path: Path, line: dict[str, str | None], columns: Sequence[str], number: int) -> Row:
    cells = {key: (line.get(key) or "").strip() for key in COLUMNS}
    sources = {column: cells[column] for column in columns if cells[column]}
    if not sources:
        raise TableError(path, f"the {' and the '.join(columns)} is empty", number)
    try:
        label = emotion_named(cells["label"])
    except UnknownLabelError as error:
        raise TableError(path, str(error), number) from error
    split = cells["split"].lower()
    if split and split not in _PARTS:
        raise TableError(path, f"the split {split!r} is not train or valid", number)
    return Row(sources, label, cells["group"], _PARTS.get(split))


def _check_groups(path: Path, rows: list[Row]) -> None:
    parts = _parts(rows)
    groups = {
        part: {row.group for row, of in zip(rows, parts, strict=True) if of == part}
        for part in ("train", "valid")
    }
    shared = sorted((groups["train"] & groups["valid"]) - {""})
    if shared:
        raise TableError(path, f"the group {shared[0]!r} is both in train and in valid")


def _parts(rows: list[Row]) -> list[Part]:
    if any(row.part for row in rows):
        return [row.part or "train" for row in rows]
    names = [row.group or i for i, row in enumerate(rows)]
    order = {name: i for i, name in enumerate(dict.fromkeys(names))}
    return ["valid" if order[n] % _VALID_ONE_IN == _VALID_ONE_IN - 1 else "train" for n in names]


def _load(folder: Path, source: str, kind: Modality) -> Input:
    if kind == "text":
        return source
    if kind == "voice":
        return read_sound(folder / source)
    inside = _IN_ARCHIVE.fullmatch(source)
    if inside is None:
        return face.resize(_picture(folder / source))
    images = _archive(folder / inside["path"])
    index = int(inside["index"])
    if index >= len(images):
        raise DataError(folder / inside["path"], f"holds {len(images)} images, none at {index}")
    return face.resize(images[index])


def _picture(path: Path) -> npt.NDArray[np.uint8]:
    check_file(path)
    try:
        grey = cv2.imdecode(np.fromfile(path, dtype=np.uint8), cv2.IMREAD_GRAYSCALE)
    except (OSError, cv2.error) as error:
        raise DataError(path, "is no picture that can be read") from error
    if grey is None:
        raise DataError(path, "is no picture that can be read")
    return grey.astype(np.uint8)


@functools.lru_cache(maxsize=4)
def _archive(path: Path) -> npt.NDArray[np.uint8]:
    check_file(path)
    try:
        with path.open("rb") as raw, np.load(raw) as file:
            images = file["images"]
    except Exception as error:  # NumPy raises whatever its zip reader meets
        raise DataError(path, "is no archive with an array `images` that can be read") from error
    if images.ndim != 3 or images.dtype != np.uint8 or not images[:1].size:
        raise DataError(path, "`images` must be grey pictures, (N, height, width) of bytes")
    grey: npt.NDArray[np.uint8] = images
    return grey
