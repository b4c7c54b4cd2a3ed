"""What a network is given: one face, voice or text in a window, or what encoders made of them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engines.manifest import Modality

SAMPLE_RATE_HZ = 16_000
"""Of all sound inside Credence."""

FACE_PX = 48
"""Width and height of a face crop."""


@dataclass(frozen=True, slots=True, eq=False)
class FaceWindow:
    """One person's face, sampled over a stretch of video, ready for a face engine."""

    start_s: float
    """Seconds since the stream's epoch began (media clock)."""
    end_s: float
    crops: npt.NDArray[np.uint8]
    """(n, 48, 48) grey, n ≥ 1, aligned as `preprocess.face.align` or `crop` does."""
    sizes_px: npt.NDArray[np.float32] | None = None
    """(n,) how wide each face was found; None where that is not known."""
    turns: npt.NDArray[np.float32] | None = None
    """(n,) as `preprocess.face.turn` has them; None where there are no landmarks."""
    mouths: npt.NDArray[np.float32] | None = None
    """(n,) as `preprocess.face.mouth` has them; None where there are no landmarks."""


@dataclass(frozen=True, slots=True, eq=False)
class VoiceWindow:
    """A stretch of one person's speech, ready for a voice engine."""

    start_s: float
    """Seconds since the stream's epoch began (media clock)."""
    pcm: npt.NDArray[np.float32]
    """(samples,) mono in [-1, 1] at 16 kHz."""

    @property
    def end_s(self) -> float:
        """Where the stretch ends on the same clock."""
        return self.start_s + len(self.pcm) / SAMPLE_RATE_HZ


@dataclass(frozen=True, slots=True)
class TextWindow:
    """What was said in a stretch of speech, ready for a text engine."""

    start_s: float
    """Seconds since the stream's epoch began (media clock)."""
    end_s: float
    text: str
    """English, as transcribed."""
    avg_logprob: float | None = None
    """Mean log-probability of the transcript's tokens; None where nobody transcribed."""
    no_speech_prob: float | None = None
    """In [0, 1], that nobody spoke; None where nobody transcribed."""


Window = FaceWindow | VoiceWindow | TextWindow


@dataclass(frozen=True, slots=True, eq=False)
class SequenceWindow:
    """What encoders made of one moment of one person, ready for a multilabel engine."""

    sequences: Mapping[Modality, npt.NDArray[np.float32]]
    """(n, D) by modality, n ≥ 0, its rows in order of time. A row of zeros is padding; what is not
    there, has no rows or only such is absent."""
