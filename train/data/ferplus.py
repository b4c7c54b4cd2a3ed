"""FER+: the faces of FER2013 with the votes of ten raters."""

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from engines.labels import EMOTIONS
from train.data.samples import DataError, Part, Samples

SOURCE: Final = (
    "FER2013 faces (no stated licence, research use only) with the FER+ votes of ten raters (MIT)"
)

VOTES: Final = (
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
    "unknown",
    "not a face",
)
"""The columns of `votes`."""

_FILES: Final[dict[Part, tuple[str, ...]]] = {
    "train": ("ferplus_train_0.npz", "ferplus_train_1.npz"),
    "valid": ("ferplus_valid.npz",),
}
EMOTION: Final = [VOTES.index(e) for e in EMOTIONS]
"""The columns of the 7 emotions, in their order."""
_CLEAR: Final = "ferplus, more than half of the votes agree"
_UNCLEAR: Final = "ferplus, half of the votes or fewer agree"


def read(data: Path, part: Part) -> Samples:
    """Read a part as faces (48, 48) with the share of the votes of each of the 7 emotions.

    Contempt is left out. `train` keeps every image on which most raters saw one of the 7;
    `valid` keeps those that `decided` accepts.
    """
    pieces = [_read_file(data, name, part) for name in _FILES[part]]
    whole = pieces[0]
    for piece in pieces[1:]:
        whole = whole + piece
    return whole


def decided(votes: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Tell for votes (N, 10) which images have a right answer.

    The most voted of the 7 emotions is unique, and has at least two votes more than `unknown`
    and at least two more than `not a face`.
    """
    counts = votes.astype(np.int64)
    emotions = np.sort(counts[:, EMOTION], axis=1)
    others = counts[:, [VOTES.index("unknown"), VOTES.index("not a face")]].max(axis=1)
    answer: npt.NDArray[np.bool_] = (emotions[:, -1] > emotions[:, -2]) & (
        emotions[:, -1] >= others + 2
    )
    return answer


def read_votes(data: Path, part: Part) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Return every face (N, 48, 48) of a part, and the votes (N, 10) on each as in `VOTES`."""
    pieces = [_load(data / "face" / name) for name in _FILES[part]]
    images, votes = (np.concatenate(each) for each in zip(*pieces, strict=True))
    return images, votes


def _read_file(data: Path, name: str, part: Part) -> Samples:
    path = data / "face" / name
    images, votes = _load(path)
    emotions = votes[:, EMOTION].astype(np.float32)
    total = emotions.sum(axis=1)
    kept = np.flatnonzero(decided(votes) if part == "valid" else total > 0.5 * votes.sum(axis=1))
    agreed = emotions.max(axis=1) > 0.5 * votes.sum(axis=1)
    return Samples(
        list(images[kept]),
        emotions[kept] / total[kept, None],
        tuple(_CLEAR if agreed[i] else _UNCLEAR for i in kept),
        tuple(f"npz:{path}#{i}" for i in kept),
        ("",) * len(kept),
    )


def _load(path: Path) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    try:
        with path.open("rb") as raw, np.load(raw) as file:
            images, votes = file["images"], file["votes"]
    except Exception as error:  # NumPy raises whatever its zip reader meets
        raise DataError(
            path, "is missing or no FER+ file; give --data the folder that holds face/"
        ) from error
    if not len(images) or images.ndim != 3 or votes.shape != (len(images), len(VOTES)):
        raise DataError(path, "is no FER+ file; it must hold images (N, 48, 48), votes (N, 10)")
    return images, votes
