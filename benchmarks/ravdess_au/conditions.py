"""What may happen to a take: noise, a modality missing, or a face of another emotion."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from benchmarks.ravdess_au.heads import Names, Said
from benchmarks.ravdess_au.hearing import HEARD
from benchmarks.ravdess_au.takes import Classes
from train.data.matched import swap
from train.views import CLEAN

PARTLY: Final = "40 % swapped"
"""As often as in the conflictive versions of the multi-view benchmarks (Xu et al. 2024)."""
SWAPPED: Final = "all swapped"
CONDITIONS: Final = (*HEARD, PARTLY, SWAPPED)
_SHARE: Final = 0.4


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """What is said of N takes by what is heard and what is seen."""

    voice: Said | None
    face: Said | None
    """None where the modality is missing, which is as good as a vacuous opinion."""


def pairs(voice: Mapping[str, Said], face: Said, truth: Classes, people: Names) -> dict[str, Pair]:
    """Return the takes under each of `CONDITIONS`.

    A swapped face is that of another take of the same person, in which another emotion is shown;
    what is heard is true.
    """
    faces = shown(truth, people)
    return {
        **{name: Pair(voice[name], face) for name in HEARD},
        PARTLY: Pair(voice[CLEAN], face.at(faces[PARTLY])),
        SWAPPED: Pair(voice[CLEAN], face.at(faces[SWAPPED])),
    }


def shown(truth: Classes, people: Names) -> dict[str, Classes]:
    """Return under `PARTLY` and `SWAPPED` whose face (N,) is shown to each take's voice.

    It depends on nobody else than the take's own person.
    """
    faces = {name: np.arange(len(truth)) for name in (PARTLY, SWAPPED)}
    for who in np.unique(people):
        own, rng = np.flatnonzero(people == who), np.random.default_rng(0)
        faces[SWAPPED][own] = own[swap(truth[own], rng)]
        some = own[rng.random(len(own)) < _SHARE]
        faces[PARTLY][some] = faces[SWAPPED][some]
    return faces
