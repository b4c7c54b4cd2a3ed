"""What voice, face and both as one say of every take, each heard by people it never met."""

from dataclasses import dataclass

import numpy as np

from benchmarks.ravdess_au.conditions import PARTLY, SWAPPED, shown
from benchmarks.ravdess_au.heads import Known, Said, cross_fitted, met_anew
from benchmarks.ravdess_au.hearing import ANY_NOISE, Hearing
from benchmarks.ravdess_au.takes import Floats, Takes
from train.views import CLEAN


@dataclass(frozen=True, slots=True, eq=False)
class Sayings:
    """Of all N takes."""

    voice: dict[str, Said]
    """By what is heard."""
    face: Said
    joined: dict[str, Said]
    """By condition, from the features of both as one."""


def say(takes: Takes, hearings: list[Hearing]) -> Sayings:
    """Train on the actors that each fold's network heard, and judge the others."""
    # Intensities crowd at 0.
    faces = np.sqrt(takes.units)
    folds = [_of_fold(takes, faces, hearing) for hearing in hearings]
    back = np.argsort(np.concatenate([np.flatnonzero(takes.fold == h.fold) for h in hearings]))
    return Sayings(
        {name: Said.joined([f.voice[name] for f in folds]).at(back) for name in folds[0].voice},
        Said.joined([f.face for f in folds]).at(back),
        {name: Said.joined([f.joined[name] for f in folds]).at(back) for name in folds[0].joined},
    )


def _of_fold(takes: Takes, faces: Floats, heard: Hearing) -> Sayings:
    own = takes.fold == heard.fold
    old = ~own
    truth, people = takes.truth[own], takes.actor[own]
    voices = {CLEAN: heard.clean[own], ANY_NOISE: heard.noisy[own], **heard.spoilt}
    faces_of = shown(truth, people)
    both = {name: np.hstack([x, faces[own]]) for name, x in voices.items()} | {
        name: np.hstack([heard.clean[own], faces[own][faces_of[name]]])
        for name in (PARTLY, SWAPPED)
    }

    def known(*features: Floats) -> Known:
        copies = len(features)
        return Known(
            np.concatenate([x[old] for x in features]),
            np.tile(takes.truth[old], copies),
            np.tile(takes.actor[old], copies),
        )

    learned = (heard.clean, heard.noisy)
    voice = met_anew(known(*learned), voices, truth, people, (CLEAN, ANY_NOISE))
    joined = met_anew(
        known(*(np.hstack([x, faces]) for x in learned)), both, truth, people, (CLEAN, ANY_NOISE)
    )
    return Sayings(voice, cross_fitted(known(faces), faces[own]), joined)
