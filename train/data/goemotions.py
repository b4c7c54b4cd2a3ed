"""GoEmotions: comments of Reddit, their 28 emotions mapped to Ekman's six and neutral."""

import csv
from pathlib import Path
from typing import Final

import numpy as np

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
    kept = [row for row in rows if part == "train" or len(row[1]) == 1]
    targets = np.zeros((len(kept), len(EMOTIONS)), dtype=np.float32)
    for target, (_, labels) in zip(targets, kept, strict=True):
        target[labels] = 1 / len(labels)
    texts = tuple(text for text, _ in kept)
    return Samples(texts, targets, ("goemotions",) * len(kept), texts, ("",) * len(kept))
