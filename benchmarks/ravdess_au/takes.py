"""RAVDESS takes in eight emotions: sound and action units of the same moment."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from train.data.samples import Array, DataError, fold_of
from train.data.sound import read_sound

EMOTIONS: Final = (
    *("neutral", "calm", "happiness", "sadness"),
    *("anger", "fear", "disgust", "surprise"),
)
"""In the order of RAVDESS' numbers, from 01."""
FOLDS: Final = 6

Floats = npt.NDArray[np.float64]
Classes = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Takes:
    """N takes, each heard and seen."""

    pcm: list[Array]
    """(samples,) float32 in [-1, 1] at 16 kHz."""
    units: Floats
    """(N, 35) intensity or presence of face action units ≥ 0, the mean over the take."""
    truth: Classes
    """(N,) index into `EMOTIONS`."""
    actor: npt.NDArray[np.str_]
    """(N,) named as in training, such as `ravdess 01`."""

    @property
    def fold(self) -> Classes:
        """(N,) from 0: the fold whose network never heard the actor."""
        return fold_of(self.actor.tolist(), FOLDS)


def read(data: Path) -> Takes:
    """Read every take that is there in sound and in action units; DataError without."""
    path = data / "voice" / "ravdess_au35.npz"
    try:
        with np.load(path, allow_pickle=False) as held:
            seen = dict(zip(held["key"].tolist(), held["au"].astype(np.float64), strict=True))
    except (OSError, ValueError, KeyError) as error:
        raise DataError(path, "holds no action units by take") from error
    # A name's first field says how it was recorded: 01 with a face, 03 without.
    sounds = {key: data / "voice" / "ravdess" / f"03{key[2:]}.flac" for key in sorted(seen)}
    keys = [key for key, sound in sounds.items() if sound.is_file()]
    if not keys:
        raise DataError(data, "holds no takes; give the folder that holds voice/ravdess")
    fields = np.array([key.split("-") for key in keys])
    return Takes(
        [read_sound(sounds[key]) for key in keys],
        np.stack([seen[key] for key in keys]),
        fields[:, 2].astype(np.int64) - 1,
        np.char.add("ravdess ", fields[:, 6]),
    )
