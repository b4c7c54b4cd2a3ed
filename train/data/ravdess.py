"""RAVDESS: 24 actors speak two sentences in eight emotions."""

from pathlib import Path
from typing import Final

from engines.labels import Emotion
from train.data.samples import DataError, Part, Samples, one_hot
from train.data.sound import read_sound

SOURCE: Final = "RAVDESS speech, actors 01-16 to train and 17-20 to validate (CC BY-NC-SA 4.0)"

_NAME: Final = "-".join(["[0-9][0-9]"] * 7) + ".flac"
_EMOTIONS: Final[dict[str, Emotion]] = {
    "01": "neutral",
    "03": "happiness",
    "04": "sadness",
    "05": "anger",
    "06": "fear",
    "07": "disgust",
    "08": "surprise",
}
"""By the third field of a name; 02, calm, is left out."""

_ACTORS: Final[dict[Part, range]] = {"train": range(1, 17), "valid": range(17, 21)}


def read(data: Path, part: Part) -> Samples:
    """Read the takes of a part's actors, without calm; no actor is in both parts."""
    folder = data / "voice" / "ravdess"
    takes = [
        path
        for path in sorted(folder.glob(_NAME))
        if _field(path, 2) in _EMOTIONS and int(_field(path, 6)) in _ACTORS[part]
    ]
    if not takes:
        raise DataError(folder, "holds no takes; give --data the folder that holds voice/ravdess")
    return Samples(
        [read_sound(path) for path in takes],
        one_hot([_EMOTIONS[_field(path, 2)] for path in takes]),
        tuple(f"ravdess {('female', 'male')[int(_field(path, 6)) % 2]}" for path in takes),
        tuple(map(str, takes)),
        tuple(f"ravdess {_field(path, 6)}" for path in takes),
    )


def _field(path: Path, index: int) -> str:
    return path.stem.split("-")[index]
