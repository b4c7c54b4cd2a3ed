"""Voice: speech as log-mel segments, the only copy for training and live."""

from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from engines.window import SAMPLE_RATE_HZ, VoiceWindow

VERSION: Final = "voice-1"

MELS: Final = 64
SEGMENT_FRAMES: Final = 300
"""Three seconds at one frame every 10 ms: what the network sees at once."""
HOP: Final = 160
"""Samples from frame to frame."""
FLOOR: Final = 1e-10
"""The least energy that counts."""

_FRAME: Final = 400
_FFT: Final = 512
_LOWEST_HZ: Final = 60.0
_HIGHEST_HZ: Final = 7600.0
_QUIET_DB: Final = 40.0
"""Edges this far below the loudest frame are silence and are cut off."""


def log_mel(pcm: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the log-mel energies (64, frames) of ``pcm`` (samples,) at 16 kHz; frames ≥ 1."""
    padded = np.pad(pcm, (0, max(0, _FRAME - len(pcm))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FRAME)[::HOP]
    spectrum = np.abs(np.fft.rfft(frames * _window(), _FFT)) ** 2
    mel = spectrum.astype(np.float32) @ filters()
    logs: npt.NDArray[np.float32] = np.log(np.maximum(mel, FLOOR)).T
    return logs


def segments(mel: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Cut log-mels (64, frames) into normalised segments (n, 1, 64, 300), n ≥ 1.

    Silent edges go; what is shorter than a segment is repeated, what is longer is covered
    by evenly spaced segments. Mean 0 and deviation 1 over the speech, so that gain cancels.
    """
    speech = mel[:, slice(*_spoken(mel))]
    speech = (speech - speech.mean()) / max(float(speech.std()), 1e-3)
    frames = speech.shape[1]
    if frames < SEGMENT_FRAMES:
        speech = np.tile(speech, -(-SEGMENT_FRAMES // frames))[:, :SEGMENT_FRAMES]
        frames = SEGMENT_FRAMES
    return np.stack([speech[None, :, s : s + SEGMENT_FRAMES] for s in _starts(frames)])


def spans(mel: npt.NDArray[np.float32]) -> list[tuple[int, int]]:
    """Return the frames of log-mels (64, frames) from which to which each segment reaches."""
    start, end = _spoken(mel)
    if end - start <= SEGMENT_FRAMES:
        return [(start, end)]
    return [(start + s, start + s + SEGMENT_FRAMES) for s in _starts(end - start)]


def tensor(window: VoiceWindow) -> npt.NDArray[np.float32]:
    """Return the segments (n, 1, 64, 300) of a stretch of speech."""
    return segments(log_mel(window.pcm))


def _spoken(mel: npt.NDArray[np.float32]) -> tuple[int, int]:
    """Return the first frame that is no silent edge, and the one after the last."""
    level = np.log(np.exp(mel).sum(axis=0))
    loud = np.flatnonzero(level > level.max() - _QUIET_DB * np.log(10) / 10)
    return int(loud[0]), int(loud[-1]) + 1


def _starts(frames: int) -> list[int]:
    """Return where evenly spaced segments that cover so many frames begin."""
    count = -(-frames // SEGMENT_FRAMES)
    starts: list[int] = np.linspace(0, frames - SEGMENT_FRAMES, count).round().astype(int).tolist()
    return starts


@cache
def _window() -> npt.NDArray[np.float32]:
    return np.hanning(_FRAME + 1)[:-1].astype(np.float32)


def centres_hz() -> npt.NDArray[np.float64]:
    """Return the middle (64,) of each mel band."""
    return _edges_hz()[1:-1]


@cache
def filters() -> npt.NDArray[np.float32]:
    """Return (257, 64) triangles, evenly spaced on the mel scale of O'Shaughnessy."""
    edges = _edges_hz()
    bins = np.linspace(0, SAMPLE_RATE_HZ / 2, _FFT // 2 + 1)[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)


def _edges_hz() -> npt.NDArray[np.float64]:
    edges_mel = np.linspace(_mel(_LOWEST_HZ), _mel(_HIGHEST_HZ), MELS + 2)
    return 700.0 * (10.0 ** (edges_mel / 2595.0) - 1.0)


def _mel(hz: float) -> float:
    return float(2595.0 * np.log10(1.0 + hz / 700.0))
