"""GoEmotions: comments of Reddit, their 28 emotions mapped to Ekman's six and neutral."""

import csv
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from engines.labels import EMOTIONS, emotion_named
from train.data.samples import DataError, Part, Samples

SOURCE: Final = (
    "GoEmotions, Ekman's classes, official train and dev parts; dev without the 9 % of comments"
    " that carry several labels (Apache-2.0)"
)

_FILES: Final[dict[Part, str]] = {"train": "ekman_train.tsv", "valid": "ekman_dev.tsv"}


def read(data: Path, part: Part) -> Samples:
    """Read the comments of a part.

    In `train` the target of a comment with several labels is spread evenly over them; `valid`
    keeps the comments that have one label, so that each has one right answer.
    """
    texts, sets = read_sets(data, part)
    kept = np.flatnonzero((part == "train") | (sets.sum(axis=1) == 1))
    said = tuple(texts[i] for i in kept)
    targets = sets[kept] / sets[kept].sum(axis=1, keepdims=True, dtype=np.float32)
    return Samples(said, targets, ("goemotions",) * len(said), said, ("",) * len(said))


def read_sets(data: Path, part: Part) -> tuple[list[str], npt.NDArray[np.bool_]]:
    """Return every comment of a part, and which of the 7 emotions each (N, 7) is labelled with."""
    folder = data / "text" / "goemotions"
    try:
        names = (folder / "ekman_labels.txt").read_text(encoding="utf-8").split()
        with (folder / _FILES[part]).open(encoding="utf-8", newline="\n") as file:
            lines = [line[:2] for line in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)]
        classes = [EMOTIONS.index(emotion_named(name)) for name in names]
        rows = [(text, [classes[int(label)] for label in ids.split(",")]) for text, ids in lines]
    except (OSError, ValueError, IndexError) as error:
        raise DataError(
            folder, "holds no GoEmotions; give --data the folder that holds text/goemotions"
        ) from error
    sets = np.zeros((len(rows), len(EMOTIONS)), dtype=np.bool_)
    for own, (_, labels) in zip(sets, rows, strict=True):
        own[labels] = True
    return [text for text, _ in rows], sets
