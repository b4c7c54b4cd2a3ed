"""M3ED: dialogues of Chinese television series, with the emotions that raters saw and heard.

The features are read as its authors publish them, a list of ten, or as CARAT packs them. A sample
is a dialogue, a row of it an utterance; what any utterance shows is present.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from train.data.pickles import read_pickle
from train.data.published import MODALITIES, PARTS, checked, coded, read_pools
from train.data.samples import DataError
from train.data.sequences import Floats, Parts, Sequences

LABELS: Final = ("happiness", "neutral", "sadness", "disgust", "anger", "fear", "surprise")

_LABELS, _FEATURES, _IDS = 2, (3, 4, 5), (7, 8, 9)
"""Where the list of ten has labels, features and parts, each in the order of its names here."""


def read(data: Path) -> Parts:
    """Read the one pickle in the folder `m3ed`, whose sizes are its own.

    Raises DataError where there is none or several, or where it is not what it should be.
    """
    path = _file(data / "m3ed")
    content = read_pickle(path)
    published = _dialogues(path, content) if isinstance(content, list | tuple) else content
    if not isinstance(published, dict) or not set(PARTS) <= set(published):
        raise DataError(path, "holds neither M3ED's list of ten nor a dict of its parts")
    widths: dict[str, int] = {}
    parts = {}
    for name in PARTS:
        parts[name] = _part(path, name, published.pop(name), widths)
        widths = parts[name].widths
    return checked(path, parts, ())


def _file(folder: Path) -> Path:
    there = sorted(folder.glob("*.pkl"))
    if not there:
        raise DataError(folder, "holds no features; give --data the folder that holds m3ed")
    if len(there) > 1:
        raise DataError(folder, f"holds {len(there)} pickles; leave the one there that is meant")
    return there[0]


def _part(path: Path, name: str, content: Any, widths: dict[str, int]) -> Sequences:
    if not isinstance(content, dict) or not isinstance(content.get("tgt"), list):
        raise DataError(path, f"{name} has no list of labels under tgt")
    for old, new in (("src-text", "text"), ("src-audio", "audio"), ("src-visual", "vision")):
        if old in content:
            content[new] = content.pop(old)
    pools = read_pools(path, name, content, widths)
    n = len(pools["text"])
    if len(content["tgt"]) != n:
        raise DataError(path, f"{name} has labels of {len(content['tgt'])} dialogues out of {n}")
    targets = np.stack([coded(path, codes, LABELS) for codes in content["tgt"]])
    rows = np.arange(n, dtype=np.int64)
    ids = content.get("id")
    if not isinstance(ids, list) or len(ids) != n or not all(isinstance(d, str) for d in ids):
        ids = [str(i) for i in range(n)]
    return Sequences(pools, dict.fromkeys(pools, rows), targets, LABELS, tuple(ids))


def _dialogues(path: Path, content: Sequence[Any]) -> dict[str, dict[str, Any]]:
    """Return the dialogues of M3ED's own list, padded to the longest of them, by part."""
    try:
        labels, ids = content[_LABELS], [list(content[i]) for i in _IDS]
        longest = max(len(labels[d]) for part in ids for d in part)
        return {
            name: {
                "id": part,
                "tgt": [[2, *(4 + int(code) for code in labels[d]), 3] for d in part],
                **{
                    m: np.stack([_padded(content[i][d], len(labels[d]), longest) for d in part])
                    for m, i in zip(MODALITIES, _FEATURES, strict=True)
                },
            }
            for name, part in zip(PARTS, ids, strict=True)
        }
    except (LookupError, TypeError, ValueError, OverflowError) as error:
        raise DataError(path, "is not laid out as M3ED's list of ten") from error


def _padded(utterances: Any, n: int, longest: int) -> Floats:
    with np.errstate(over="ignore"):  # what does not fit is infinite, and mended
        rows = np.asarray(utterances, np.float32)
    if len(rows) != n:
        raise ValueError
    return np.pad(rows, ((0, longest - n), (0, 0)))
