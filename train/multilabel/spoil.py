"""What an encoder meets instead of a sample: a window as a camera gives it, whole or corrupted."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from engines.manifest import Modality
from engines.window import FACE_PX, FaceWindow, Window
from train.data.samples import Input
from train.prepare import window
from train.robustness import Corruption
from train.views import CLEAN

CORRUPTIONS: Final[Mapping[Modality, tuple[str, ...]]] = {
    "face": ("blur:2", "jpeg:5", "dark:0.1", "occlude:0.3", "small:12"),
    "voice": ("noise:10", "noise:0", "reverb:0.8", "clip:0.3", "band:8000"),
    "text": ("mishear:0.2", "mishear:0.5", "unpunctuated:1"),
}
"""What may happen to a sample, by modality, beside that it is absent; each as likely (ours)."""

CROPS: Final = 8
"""The most crops of a face in a window; a stretch without speech has five."""
_SHIFT_PX: Final = 1
_GREY: Final = 2.0
"""How much crops of one face differ: pixels of shift, grey levels of a sensor's noise."""


@dataclass(frozen=True, slots=True)
class Version:
    """A sample as it is, or corrupted."""

    sample: int
    spec: str
    """`CLEAN` or a corruption."""
    seed: int
    """Of all that is random in it."""


def versions(count: int, kind: Modality, corrupted: int, rng: np.random.Generator) -> list[Version]:
    """Return each of so many samples clean, then each with so many corruptions of its kind."""
    specs = CORRUPTIONS[kind]
    drawn = rng.integers(len(specs), size=(corrupted, count))
    each = [(i, CLEAN) for i in range(count)]
    each += [(i, specs[which]) for row in drawn.tolist() for i, which in enumerate(row)]
    return [Version(i, spec, seed) for seed, (i, spec) in enumerate(each)]


def windowed(
    kind: Modality, item: Input, version: Version, known: Mapping[str, Corruption]
) -> Window:
    """Return the window of a sample: of a face 1 to 8 crops that differ a little."""
    rng = np.random.default_rng(version.seed)
    if version.spec != CLEAN:
        item = known[version.spec].apply(item, rng)
    if isinstance(item, str) or kind != "face":
        return window(kind, item)
    name, _, level = version.spec.partition(":")
    size_px = float(level) if name == "small" else float(FACE_PX)
    crops = _crops(item, int(rng.integers(1, CROPS + 1)), rng)
    return FaceWindow(0.0, 0.0, crops, np.full(len(crops), size_px, dtype=np.float32))


def _crops(
    face: npt.NDArray[np.uint8], count: int, rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """Return crops (count, 48, 48) of a face, each shifted and noisy by itself."""
    wide = np.pad(face, _SHIFT_PX, mode="edge")
    starts = rng.integers(0, 2 * _SHIFT_PX + 1, size=(count, 2)).tolist()
    crops = np.stack([wide[y : y + FACE_PX, x : x + FACE_PX] for y, x in starts])
    noisy = np.round(crops + rng.normal(0.0, _GREY, crops.shape))
    return np.clip(noisy, 0, 255).astype(np.uint8)
