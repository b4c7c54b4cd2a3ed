"""Files laid out as CMU-MOSEI and M3ED publish theirs, of a few samples of noise."""

import csv
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from train.data.mosei import COLUMNS

SIZES = {"train": 12, "valid": 9, "test": 8}


def mosei(folder: Path, *, aligned: bool = True, sizes: dict[str, int] = SIZES) -> Path:
    """Write `mosei` into a data folder, and return where it lies; nobody is like another."""
    folder = folder / "mosei"
    folder.mkdir()
    rng = np.random.default_rng(0)
    parts = {name: mosei_part(name, n, rng, aligned=aligned) for name, n in sizes.items()}
    write(folder / f"{'' if aligned else 'un'}aligned_50.pkl", parts)
    truths = {name: intensities(n) for name, n in sizes.items()}
    with (folder / "label.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("video_id", "clip_id", "text", "label", "annotation", "mode", *COLUMNS))
        for name, rows in truths.items():
            for i, row in enumerate(rows):
                table.writerow((f"{name}-a", i, "so, we", 1.0, "Positive", name, *row))
    return folder


def intensities(n: int) -> np.ndarray:
    """Return the intensities (n, 6) of the samples of a part: two emotions each, and one none."""
    rows = np.zeros((n, 6))
    rows[np.arange(n), np.arange(n) % 6] = 0.33
    rows[np.arange(n), np.arange(n) * 5 % 6] = 2.0
    rows[-1] = 0
    return rows


def mosei_part(name: str, n: int, rng: np.random.Generator, *, aligned: bool) -> dict[str, Any]:
    """Return what MMSA's file holds of a part."""
    long = 50 if aligned else 500
    text, audio, vision = (
        rng.normal(size=(n, t, d)).astype(np.float32)
        for t, d in ((50, 768), (long, 74), (long, 35))
    )
    text[:, 20:], audio[0, 3, 5], audio[1, 0, 0] = 0, -np.inf, np.nan
    lengths = {} if aligned else {f"{m}_lengths": [30] * (n - 1) + [0] for m in ("audio", "vision")}
    return {
        "raw_text": np.array(["so, we"] * n),
        "text": text,
        "text_bert": np.zeros((n, 3, 50), np.int64),
        "audio": audio,
        "vision": vision.astype(np.float64),
        "id": [f"{name}-a$_${i}" for i in range(n)],
        "annotations": ["Positive"] * n,
        "classification_labels": np.ones(n),
        "regression_labels": np.ones(n),
        **lengths,
    }


def m3ed(folder: Path) -> Path:
    """Write `m3ed` into a data folder, and return where it lies."""
    folder = folder / "m3ed"
    folder.mkdir()
    rng = np.random.default_rng(0)
    ids = {name: [f"{name}_{i}" for i in range(n)] for name, n in SIZES.items()}
    lengths = {d: 2 + i % 4 for part in ids.values() for i, d in enumerate(part)}
    labels = {d: [(i + j) % 7 for j in range(n)] for i, (d, n) in enumerate(lengths.items())}
    features = [
        {d: [*rng.normal(size=(n, width)).astype(np.float32)] for d, n in lengths.items()}
        for width in (1024, 768, 342)
    ]
    content = [list(lengths), dict.fromkeys(lengths, "AB"), labels, *features, {}, *ids.values()]
    write(folder / "features.pkl", content)
    return folder


def write(path: Path, content: object) -> None:
    """Write as the published files are written."""
    path.write_bytes(pickle.dumps(content, protocol=4))
