"""A multilabel engine: all emotions that a moment shows, and how far each is spread."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engines.errors import CredenceError
from engines.manifest import Modality, MultilabelManifest
from engines.opened import Opened
from engines.opinion import Array
from engines.preprocess import sequence
from engines.runtime import Outputs
from engines.window import SequenceWindow


class MultilabelMismatchError(CredenceError):
    """A multilabel engine was trained on other encoders than those that run."""

    def __init__(self, path: Path, kind: Modality, *, expected: str, found: str) -> None:
        problem = f"was trained on {kind} engine {expected}, not {found}"
        if expected == "none":
            problem = f"knows no {kind} engine"
        super().__init__(
            f"{path}: this multilabel engine {problem};"
            f" name one that fits in engines.multilabel, or set recognition.multilabel to false"
        )
        self.path, self.kind, self.expected, self.found = path, kind, expected, found


@dataclass(frozen=True, slots=True, eq=False)
class Emotions:
    """Which emotions a moment shows; any number of them."""

    probability: Array
    """(K,) in [0, 1] over `labels.EMOTIONS`, each for itself: they need not sum to 1."""
    spread: Array
    """(K,) ≥ 0, how far the network's latent distribution of each emotion is spread. It was trained
    to be larger where the network is wrong; how far it is: docs/multilabel.md."""
    shown: npt.NDArray[np.bool_]
    """(K,) whether the probability reaches the threshold that was chosen on validation."""


@dataclass(frozen=True, slots=True, eq=False)
class MultilabelEngine(Opened[MultilabelManifest]):
    """A network that is given what the encoders made of a window."""

    def answers(self, windows: Sequence[SequenceWindow]) -> list[Emotions]:
        """Return what each window shows, by one call of the runtime for all of them.

        Modalities may be absent; of a window without any, this is what is usual. Worth waiting for
        windows only where `runtime.batches`. Raises SequenceError where a sequence is not of the
        encoder that the network was trained on.
        """
        rows = [sequence.tensor(window, self.manifest.parts) for window in windows]
        return [self._emotions(made) for made in self.run(rows)]

    def check_encoders(self, hashes: Mapping[Modality, str]) -> None:
        """Raise MultilabelMismatchError unless it was trained on these engines; fewer are fine."""
        for kind, found in hashes.items():
            expected = self.manifest.engines.get(kind, "none")
            if found != expected:
                raise MultilabelMismatchError(self.path, kind, expected=expected, found=found)

    def _emotions(self, made: Outputs) -> Emotions:
        probability, spread = (
            made[name][0].astype(np.float64) for name in ("probability", "spread")
        )
        return Emotions(probability, spread, probability >= self.manifest.thresholds)
