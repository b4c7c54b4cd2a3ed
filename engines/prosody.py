"""How a voice says it: pitch, level, pace and pauses of a stretch of speech, in numbers.

The definitions are ours where no source is named. What cannot be measured is left out.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from engines.window import SAMPLE_RATE_HZ, VoiceWindow

Floats = npt.NDArray[np.float64]

UNITS: Final[Mapping[str, str]] = {
    "pitch": "Hz",
    "pitch_range": "semitones",
    "level": "dB",
    "rate": "syllables/s",
    "pauses": "%",
    "jitter": "%",
}
"""What is measured, and in what."""

HOP_S: Final = 0.02
_STEP: Final = 4
_RATE_HZ: Final = SAMPLE_RATE_HZ // _STEP
"""Enough for pitch, whose peak is found between samples."""
_FRAME: Final = 256
_HOP: Final = round(HOP_S * _RATE_HZ)
_LOWEST_HZ: Final = 65.0
_HIGHEST_HZ: Final = 500.0
_LAGS: Final = 64
"""Enough for one more than the longest period."""
_VOICED: Final = 0.5
"""Of the autocorrelation's peak, beside 1 at lag 0."""
_QUIET_DB: Final = 25.0
"""Below the loudest frames by more is a pause."""
_DIP_DB: Final = 2.0
"""Between two syllables the level falls by so much at least (de Jong and Wempe 2009)."""
_LEAST_VOICED: Final = 8
"""Frames that a pitch needs."""


def prosody(window: VoiceWindow) -> dict[str, float]:
    """Return what can be measured of a voice, by its name in `UNITS`.

    ``pitch`` is the median fundamental frequency of voiced frames, ``pitch_range`` lies between
    their 10th and 90th percentile, ``level`` is that of speech below full scale, ``rate`` counts
    peaks of the level that are voiced (after de Jong and Wempe 2009) over the whole stretch,
    ``pauses`` is the share of quiet frames, and ``jitter`` the median change of the period from
    one voiced frame to the next, in percent of it.
    """
    frames = _frames(window.pcm)
    power = np.square(frames).mean(axis=1)
    level_db = 10 * np.log10(np.maximum(power, 1e-10))
    loud = level_db > np.quantile(level_db, 0.95) - _QUIET_DB
    if level_db.max() <= -70.0:  # digital silence
        return {}
    pitch_hz = np.full(len(frames), np.nan)
    pitch_hz[loud] = _pitch(frames[loud])
    voiced = ~np.isnan(pitch_hz)
    found = {
        "level": float(10 * np.log10(power[loud].mean())),
        "pauses": 100 * float(1 - loud.mean()),
        "rate": _syllables(level_db, voiced) / (len(frames) * HOP_S),
    }
    if voiced.sum() >= _LEAST_VOICED:
        found |= _of_pitch(pitch_hz)
    return found


def _of_pitch(pitch_hz: Floats) -> dict[str, float]:
    known = pitch_hz[~np.isnan(pitch_hz)]
    low, high = np.quantile(known, [0.1, 0.9])
    period_s = 1 / pitch_hz
    steps = np.abs(np.diff(period_s))
    steps = steps[~np.isnan(steps)]
    found = {
        "pitch": float(np.median(known)),
        "pitch_range": 12 * float(np.log2(high / low)),
    }
    if len(steps):
        found["jitter"] = 100 * float(np.median(steps) / np.median(1 / known))
    return found


def _frames(pcm: npt.NDArray[np.float32]) -> Floats:
    """Return frames (n, 256) of 64 ms at 4 kHz, n ≥ 1."""
    whole = pcm[: len(pcm) // _STEP * _STEP].astype(np.float64)
    slow = whole.reshape(-1, _STEP).mean(axis=1)
    padded = np.pad(slow, (0, max(0, _FRAME - len(slow))))
    return np.lib.stride_tricks.sliding_window_view(padded, _FRAME)[::_HOP]


def _pitch(frames: Floats) -> Floats:
    """Return the fundamental frequency (n,) of frames (n, 256); NaN where there is none.

    The autocorrelation of the windowed frame over that of the window (Boersma 1993); of peaks
    that are nearly as high, the one of the shortest lag.
    """
    window = np.hanning(_FRAME)
    shifted = (frames - frames.mean(axis=1, keepdims=True)) * window
    own = _autocorrelation(shifted) / np.maximum(_autocorrelation(window[None]), 1e-12)
    shortest, longest = int(_RATE_HZ / _HIGHEST_HZ), int(_RATE_HZ / _LOWEST_HZ)
    lags = own[:, shortest - 1 : longest + 2]
    inner = lags[:, 1:-1]
    peaks = (inner > lags[:, :-2]) & (inner >= lags[:, 2:]) & (inner > _VOICED)
    heights = np.where(peaks, inner, -np.inf)
    best = heights.max(axis=1)
    first = (heights >= 0.9 * best[:, None]).argmax(axis=1)
    rows = np.arange(len(frames))
    left, top, right = (lags[rows, first + n] for n in range(3))
    bend = left - 2 * top + right
    shift = np.divide(0.5 * (left - right), bend, out=np.zeros_like(bend), where=bend < 0)
    return np.where(np.isfinite(best), _RATE_HZ / (first + shortest + shift), np.nan)


def _autocorrelation(frames: Floats) -> Floats:
    """Return the autocorrelation (n, 64) of frames (n, 256), 1 at lag 0."""
    spectrum = np.fft.rfft(frames, _FRAME + _LAGS)  # no longer lag wraps around
    raw = np.fft.irfft(spectrum.real**2 + spectrum.imag**2)[:, :_LAGS]
    scaled: Floats = raw / np.maximum(raw[:, :1], 1e-12)
    return scaled


def _syllables(level_db: Floats, voiced: npt.NDArray[np.bool_]) -> int:
    """Count the peaks that are voiced, between dips."""
    count, rising, heard, turn = 0, True, False, -np.inf
    for level, is_voiced in zip(level_db.tolist(), voiced.tolist(), strict=True):
        heard = heard or (rising and is_voiced)
        if (level > turn) == rising:
            turn = level
        elif abs(level - turn) > _DIP_DB:
            count += rising and heard
            rising, heard, turn = not rising, False, level
    return count + (rising and heard)
