"""Emotion wheels: words → canonical forms → sectors, as wheel-based scores of EMER want it.

The wheels are read from a folder with `format.csv` (word forms), `synonym.xlsx` and `wheel*.xlsx`
(levels from the hub outwards), as the authors of EMER publish them; none are part of Credence.
"""

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from zipfile import BadZipFile

from engines.errors import CredenceError

Rows = Sequence[tuple[str, ...]]
_NO_WORKBOOK: Final = (OSError, KeyError, ValueError, EOFError, BadZipFile)
"""What openpyxl raises of files that are none."""


class WordsError(CredenceError):
    """Words, groups or wheels that cannot be used."""

    def __init__(self, path: Path | str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path, self.problem = path, problem


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Which words are forms or synonyms of which."""

    forms: Mapping[str, Sequence[str]]
    """Canonical words by form."""
    synonyms: Mapping[str, Sequence[str]]
    """Words by one of their synonyms, as often as they are said to be."""


@dataclass(frozen=True, slots=True)
class Wheel:
    """One wheel: the sector of each word on it."""

    on_it: Mapping[str, str]
    lexicon: Lexicon

    def sector(self, word: str) -> str | None:
        """Return the sector of a word, or of its form, or most often of its synonyms; else None."""
        own = [word, *self.lexicon.forms.get(word, ())]
        for each in own:
            if each in self.on_it:
                return self.on_it[each]
        others = (other for each in own for other in self.lexicon.synonyms.get(each, ()))
        found = Counter(
            self.on_it[form]
            for other in others
            for form in (other, *self.lexicon.forms.get(other, ()))
            if form in self.on_it
        )
        return found.most_common(1)[0][0] if found else None

    def sectors(self, words: Iterable[str]) -> frozenset[str]:
        """Return the sectors of those words that have one."""
        return frozenset(sector for word in words if (sector := self.sector(word)) is not None)


def read_wheels(folder: Path) -> list[Wheel]:
    """Read every wheel of a folder, in order of their names; raise WordsError."""
    paths = sorted(folder.glob("wheel*.xlsx"))
    if not paths:
        raise WordsError(folder, "there is no wheel*.xlsx in it")
    lexicon = Lexicon(_forms(folder / "format.csv"), _synonyms(folder / "synonym.xlsx"))
    return [Wheel(_sectors(path), lexicon) for path in paths]


def _forms(path: Path) -> dict[str, list[str]]:
    forms: dict[str, list[str]] = {}
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines):
                for form in row["format"].split(","):
                    forms.setdefault(plain(form), []).append(plain(row["name"]))
    except (OSError, KeyError, UnicodeDecodeError, csv.Error, AttributeError) as error:
        raise WordsError(path, "it needs the columns name and format") from error
    return forms


def _synonyms(path: Path) -> dict[str, list[str]]:
    """Read pairs of columns: a word, and its synonyms with commas between them."""
    synonyms: dict[str, list[str]] = {}
    for row in _rows(path):
        for word, others in zip(row[::2], row[1::2], strict=False):
            for other in (word, *others.split(",")) if word else ():
                synonyms.setdefault(plain(other), []).append(word)
    return synonyms


def _sectors(path: Path) -> dict[str, str]:
    """Read levels from the hub outwards; an empty cell repeats the one above it."""
    sectors: dict[str, str] = {}
    hub = middle = ""
    for row in _rows(path):
        inner, outer, rim = (*row, "", "", "")[:3]
        hub, middle = inner or hub, outer or middle
        for word in filter(None, (hub, middle, rim)):
            sectors.setdefault(word, hub)
    return sectors


def _rows(path: Path) -> Rows:
    """Return the cells of a workbook's first sheet below its heading, as plain words."""
    import openpyxl  # noqa: PLC0415 - only with credence[train]

    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        try:
            rows = list(book.worksheets[0].iter_rows(min_row=2, values_only=True))
        finally:
            book.close()
    except _NO_WORKBOOK as error:
        raise WordsError(path, "it cannot be read as a workbook (.xlsx)") from error
    return [tuple(plain(str(cell or "")) for cell in row) for row in rows]


def plain(word: str) -> str:
    """Return a word in small letters, with single spaces and none around it."""
    return " ".join(word.split()).lower()
