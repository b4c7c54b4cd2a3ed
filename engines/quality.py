"""How good a face, a voice or words are to judge by: numbers that policies turn into trust.

The same code measures in training and live. Every measure grows as quality does, so that trust
may grow with it and never falls. What cannot be known of a window is left out. The choice of
measures and their definitions are ours.
"""

from collections.abc import Mapping
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from engines.manifest import Modality
from engines.preprocess import text, voice
from engines.window import SAMPLE_RATE_HZ, FaceWindow, TextWindow, VoiceWindow, Window

Quality = Mapping[str, float]
"""Finite numbers by the name of their measure in `MEASURES`."""

MEASURES: Final[Mapping[Modality, Mapping[str, str]]] = {
    "face": {
        "size_px": "width of the face in the picture, in pixels",
        "frontal": "1 towards the camera, 0 where the nose stands before an eye or beyond",
        "sharpness": "variance of the Laplacian over that of the crop; falls with blur",
        "texture": "share of the crop that differs from what surrounds it; falls with hard"
        " compression, too much light, and plain things in front of the face",
        "contrast": "standard deviation of the crop, in grey levels of 256; falls in the dark",
    },
    "voice": {
        "snr_db": "estimated ratio of speech to steady noise, -20 to 60",
        "decay_db_s": "how fast sound falls where it falls fast; slower in rooms that ring",
        "unclipped": "share of the samples that are not within 2 % of the largest",
        "bandwidth_hz": "where the highest mel band lies that is within 60 dB of the loudest",
        "speech_s": "seconds within 40 dB of the loudest",
    },
    "text": {
        "avg_logprob": "mean log-probability of the transcript's tokens, at most 0",
        "speech_prob": "probability that anybody spoke at all",
        "words": "number of words and marks that the engine is given",
    },
}
"""What each number means, by modality; more is better throughout."""

_LEAST_DB, _MOST_DB = -20.0, 60.0
_QUANTILE_OF_MEAN = 0.6
"""Of steady noise: the quantile below over the mean power, measured on noisy RAVDESS speech."""


def measure(window: Window) -> Quality:
    """Return the measures of a window that are known."""
    match window:
        case FaceWindow():
            return _of_face(window)
        case VoiceWindow():
            return _of_voice(window)
        case TextWindow():
            return _of_words(window)


def _of_face(window: FaceWindow) -> Quality:
    """Means over the crops, as the engine's opinion is one."""
    crops = window.crops.astype(np.float64)
    deviation = crops.std(axis=(1, 2))
    edges = np.stack([cv2.Laplacian(crop, cv2.CV_64F) for crop in crops])
    known = {
        "sharpness": float(np.mean(edges.var(axis=(1, 2)) / np.maximum(deviation, 1.0) ** 2)),
        "texture": float(np.mean(np.abs(edges) >= 0.5)),
        "contrast": float(deviation.mean()),
    }
    if window.sizes_px is not None:
        known["size_px"] = float(window.sizes_px.mean())
    if window.turns is not None:
        known["frontal"] = float(np.maximum(0.0, 1.0 - np.abs(window.turns)).mean())
    return known


def _of_voice(window: VoiceWindow) -> Quality:
    powers = np.exp(voice.log_mel(window.pcm).astype(np.float64))  # (64, frames)
    frames, bands = powers.sum(axis=0), powers.max(axis=1)
    heard = np.flatnonzero(bands >= 1e-6 * bands.max())
    loud = np.abs(window.pcm)
    top = np.maximum(0.98 * loud.max(), 1e-9)  # so that digital silence is not clipped
    known = {"snr_db": _snr_db(powers)}
    if (fall_db_s := _decay_db_s(frames)) is not None:
        known["decay_db_s"] = fall_db_s
    return known | {
        "unclipped": float(np.mean(loud < top)),
        "bandwidth_hz": float(voice.centres_hz()[heard[-1]]),
        "speech_s": float(np.sum(frames >= 1e-4 * frames.max())) * voice.HOP / SAMPLE_RATE_HZ,
    }


def _snr_db(powers: npt.NDArray[np.float64]) -> float:
    """Estimate the ratio from mel powers (64, frames).

    Speech leaves every band now and then, steady noise does not: a low quantile of a band's
    power over 50 ms follows its noise (after Martin 2001). In white to brown noise at 10 dB the
    estimate is right on average; noise that comes and goes is taken for speech in part.
    """
    smooth = cv2.blur(powers, (5, 1), borderType=cv2.BORDER_REFLECT)
    noise = float(np.quantile(smooth, 0.1, axis=1).sum()) / _QUANTILE_OF_MEAN
    speech = float(powers.sum(axis=0).mean()) - noise
    ratio = max(speech, 0.0) / max(noise, 1e-12)
    return float(np.clip(10 * np.log10(max(ratio, 1e-9)), _LEAST_DB, _MOST_DB))


def _decay_db_s(frames: npt.NDArray[np.float64]) -> float | None:
    """Return the ninth decile of the fall over 100 ms that follows a frame within 30 dB of the top.

    Of ``frames`` (n,), powers. A room lets nothing fall faster than by 60 dB in its RT60. None
    where no such frame has 100 ms after it.
    """
    steps = 10
    level_db = 10 * np.log10(np.maximum(frames, max(1e-5 * frames.max(), 1e-12)))
    level_db = cv2.blur(level_db[None], (3, 1), borderType=cv2.BORDER_REFLECT)[0]
    fall_s = (level_db[:-steps] - level_db[steps:]) / (steps * voice.HOP / SAMPLE_RATE_HZ)
    loud = level_db[:-steps] >= level_db.max() - 30.0
    return max(0.0, float(np.quantile(fall_s[loud], 0.9))) if loud.any() else None


def _of_words(window: TextWindow) -> Quality:
    known = {"words": float(len(text.words(window.text)))}
    if window.avg_logprob is not None:
        known["avg_logprob"] = window.avg_logprob
    if window.no_speech_prob is not None:
        known["speech_prob"] = 1.0 - window.no_speech_prob
    return known
