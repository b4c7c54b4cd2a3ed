"""EmoDB: ten German actors speak ten sentences in seven emotions."""

from pathlib import Path
from typing import Final

from engines.labels import Emotion
from train.data.samples import DataError, Part, Samples, one_hot
from train.data.sound import read_sound

SOURCE: Final = (
    "Berlin EmoDB, speakers 03 and 08-13 to train, from 14 on to validate (research use)"
)

_NAME: Final = "[0-9][0-9][a-z][0-9][0-9][A-Z]*.flac"
_EMOTIONS: Final[dict[str, Emotion]] = {
    "W": "anger",
    "E": "disgust",
    "A": "fear",
    "F": "happiness",
    "T": "sadness",
    "N": "neutral",
}
"""By the sixth letter of a name; L, boredom, is left out."""

_SPEAKERS: Final[dict[Part, tuple[str, ...]]] = {
    "train": ("03", "08", "09", "10", "11", "12", "13"),
    "valid": ("14", "15", "16"),
}
_MALE: Final = ("03", "10", "11", "12", "15")


def read(data: Path, part: Part) -> Samples:
    """Read the takes of a part's speakers, without boredom; no speaker is in both parts."""
    folder = data / "voice" / "emodb"
    takes = [
        path
        for path in sorted(folder.glob(_NAME))
        if path.stem[5] in _EMOTIONS and path.stem[:2] in _SPEAKERS[part]
    ]
    if not takes:
        raise DataError(folder, "holds no takes; give --data the folder that holds voice/emodb")
    return Samples(
        [read_sound(path) for path in takes],
        one_hot([_EMOTIONS[path.stem[5]] for path in takes]),
        tuple(f"emodb {'male' if path.stem[:2] in _MALE else 'female'}" for path in takes),
        tuple(map(str, takes)),
        tuple(f"emodb {path.stem[:2]}" for path in takes),
    )
