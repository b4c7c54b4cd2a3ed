"""The emotions that people saw in a face, heard in a voice or read in a text: sets, not one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np

from engines.labels import EMOTIONS
from engines.manifest import Modality
from train.checks import Bools, Indices
from train.data import ferplus, goemotions, ravdess
from train.data.samples import Input, Part

VOTES: Final = 2
"""Of ten raters, so many must have seen an emotion in a face."""

_NEUTRAL: Final = EMOTIONS.index("neutral")
_OTHER: Final = [ferplus.VOTES.index("unknown"), ferplus.VOTES.index("not a face")]


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """Samples of one modality and the emotions that each shows, one or more."""

    kind: Modality
    inputs: Sequence[Input]
    sets: Bools
    """(N, 7)"""
    people: tuple[str, ...]
    """By sample, who it is of; empty where nobody is named."""

    def __add__(self, other: Self) -> Self:
        """Return these samples, then others of the same modality."""
        inputs, sets = [*self.inputs, *other.inputs], np.concatenate([self.sets, other.sets])
        return type(self)(self.kind, inputs, sets, self.people + other.people)

    def take(self, chosen: Indices) -> Self:
        """Return some of these samples, in the order of their indices."""
        rows = chosen.tolist()
        return type(self)(
            self.kind,
            [self.inputs[i] for i in rows],
            self.sets[chosen],
            tuple(self.people[i] for i in rows),
        )


def faces(data: Path, part: Part) -> Shown:
    """Read FER+: a face shows the emotions that two or more of its ten raters saw.

    Contempt is none of the seven and counts for none. Left out are faces of which no emotion has
    two votes, and those of which no emotion has more votes than `unknown` and `not a face` (ours).
    """
    images, votes = ferplus.read_votes(data, part)
    counts = votes[:, ferplus.EMOTION]
    clear = counts.max(axis=1) > votes[:, _OTHER].max(axis=1)
    kept = np.flatnonzero(clear & (counts.max(axis=1) >= VOTES))
    return Shown("face", list(images[kept]), counts[kept] >= VOTES, ("",) * len(kept))


def voices(data: Path, part: Part) -> Shown:
    """Read RAVDESS: a take shows its emotion; one of normal intensity shows neutral as well (ours).

    Calm is left out.
    """
    takes = ravdess.read(data, part)
    sets = takes.targets > 0
    normal = [Path(path).stem.split("-")[3] == "01" for path in takes.paths]
    sets[:, _NEUTRAL] |= np.array(normal)
    return Shown("voice", takes.inputs, sets, takes.people)


def texts(data: Path, part: Part) -> Shown:
    """Read GoEmotions: a comment shows what its raters agreed on, mapped to Ekman's classes."""
    said, sets = goemotions.read_sets(data, part)
    return Shown("text", said, sets, ("",) * len(said))


READERS: Final[Mapping[Modality, Callable[[Path, Part], Shown]]] = {
    "face": faces,
    "voice": voices,
    "text": texts,
}
"""By modality, what reads the encoders' own part."""
