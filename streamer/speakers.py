"""Who speaks of several people: the one whose mouth moves meanwhile, when that is clear."""

from collections.abc import Mapping
from math import log, sqrt
from typing import Final

import numpy as np

from engines.preprocess import face as preprocess
from engines.window import FaceWindow

_LIPS: Final = np.s_[:, 33:43, 18:31]
"""Rows and columns of a crop that the lips fill, between the mouth corners of `TEMPLATE_PX`."""

_MOVING: Final = 0.05
_STILL: Final = 0.04
"""How much a mouth varies that moves, at least, and one that is still, less than. What lies
between may be either."""

_CLEAR: Final = 1.65
"""Standard errors: by chance alone, two alike mouths differ by so much once in twenty times."""

_LEAST_S: Final = 2.0
_LEAST_PICTURES: Final = 6
"""Of each face, over at least so long: a mouth that speaks may rest for a second."""

_TURNED: Final = 0.5
"""Of `preprocess.face.turn`: on heads turned farther, mouths that spoke varied no more than still
ones."""


def speaker(faces: Mapping[int, FaceWindow]) -> int | None:
    """Return whose mouth moves while everybody else's is still, by track; None if not clear.

    ``faces`` are of the same stretch of speech, two or more. Clear is: one mouth varies by
    `_MOVING` or more, every other by less than `_STILL`, and by so much less that Fisher's z of
    the two variances, ½ ln(s₁²/s₂²), exceeds `_CLEAR` of its standard errors √(½(1/ν₁ + 1/ν₂)).
    It never is where a face was watched too briefly, was turned to its side by more than `_TURNED`
    on average, or was found without landmarks and so not aligned.
    The rule and its constants are **ours**, chosen on development clips (decision 0014).
    """
    if not all(_tells(face) for face in faces.values()):
        return None
    varies = {track: mouth_varies(face) for track, face in faces.items()}
    first = max(varies, key=varies.__getitem__)
    others = [track for track in faces if track != first]
    clear = varies[first] >= _MOVING and all(
        varies[other] < _STILL
        and log(varies[first] / max(varies[other], 1e-9))
        > _CLEAR * _error(len(faces[first].crops), len(faces[other].crops))
        for other in others
    )
    return first if clear else None


def _tells(face: FaceWindow) -> bool:
    long = face.end_s - face.start_s >= _LEAST_S and len(face.crops) >= _LEAST_PICTURES
    return long and face.turns is not None and abs(float(face.turns.mean())) <= _TURNED


def mouth_varies(face: FaceWindow) -> float:
    """Return how much the light around the lips varies from picture to picture, ≥ 0.

    The deviation over two or more crops of the region's mean, in units of the face's own contrast:
    lips that part show what is dark behind them.
    """
    lips = preprocess.tensor(face)[:, 0][_LIPS].mean(axis=(1, 2))
    return float(lips.std(ddof=1))


def _error(first: int, second: int) -> float:
    """Return the standard error of Fisher's z from so many pictures each."""
    return sqrt((1 / (first - 1) + 1 / (second - 1)) / 2)
