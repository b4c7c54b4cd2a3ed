"""Corpora, one file each, and anyone's own table."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engines.manifest import Modality
from train.data import emodb, ferplus, goemotions, meld, ravdess
from train.data.samples import Part, Samples


@dataclass(frozen=True, slots=True)
class Corpus:
    """A corpus that Credence knows how to read."""

    kind: Modality
    read: Callable[[Path, Part], Samples]
    """From the data folder and a part; the parts share no person, or as `source` says."""
    source: str
    """For people: what it is and under which licence."""


CORPORA = {
    "ferplus": Corpus("face", ferplus.read, ferplus.SOURCE),
    "ravdess": Corpus("voice", ravdess.read, ravdess.SOURCE),
    "emodb": Corpus("voice", emodb.read, emodb.SOURCE),
    "goemotions": Corpus("text", goemotions.read, goemotions.SOURCE),
    "meld": Corpus("text", meld.read, meld.SOURCE),
}
