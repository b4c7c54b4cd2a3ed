"""What goes wrong between a person and an engine: corruptions of faces, voices and texts.

One pure function each, for evaluation (``--corrupt NAME:LEVEL``) and, where training varies
whole inputs, for `train.augment`. All randomness comes from ``rng``. Levels and models are ours.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from engines.errors import CredenceError
from engines.manifest import Modality
from engines.preprocess.face import resize
from engines.window import SAMPLE_RATE_HZ
from train.data.goemotions import read as read_goemotions
from train.data.samples import DataError, Input
from train.data.sound import read_sound
from train.mishear import Alike, by_sound, mishear

Random = np.random.Generator
Pcm = npt.NDArray[np.float32]
Crop = npt.NDArray[np.uint8]


class CorruptionError(CredenceError):
    """A corruption that nobody knows, or a level that it cannot have."""

    def __init__(self, spec: str, problem: str) -> None:
        known = "; ".join(
            f"{name}:LEVEL, {k.modality}, {k.level} ({k.least:g} to {k.most:g})"
            for name, k in KNOWN.items()
        )
        super().__init__(f"{spec!r}: {problem}; use one of: {known}")
        self.spec, self.problem = spec, problem


@dataclass(frozen=True, slots=True)
class Corruption:
    """One way in which inputs of one modality go wrong, at one level."""

    name: str
    level: float
    """In the unit that `KNOWN` states."""
    modality: Modality
    _change: Callable[[Any, float, Random], Any] = field(repr=False, compare=False)

    def apply(self, item: Input, rng: Random) -> Input:
        """Return a corrupted copy of an input of this modality, of the same shape and range.

        A face is (h, w) uint8, a voice (samples,) float32 in [-1, 1] at 16 kHz, or a text.
        """
        changed: Input = self._change(item, self.level, rng)
        return changed


@dataclass(frozen=True, slots=True)
class Known:
    """What a corruption does, and what its level means."""

    modality: Modality
    level: str
    """The meaning and unit of its level."""
    least: float
    most: float
    change: Callable[..., Any]
    """(item, level, rng[, material]) → item."""
    material: Callable[[Path], Any] | None = None
    """Reads from the data folder what it draws from; it does without where there is none."""


def corruption(spec: str, data: Path | None = None) -> Corruption:
    """Return the corruption of a specification such as `noise:10`; else raise CorruptionError.

    With a folder of real data noise is recorded instead of synthetic, and misheard words are
    words of GoEmotions instead of misspellings; DataError where the folder does not hold them.
    """
    name, _, number = spec.partition(":")
    known = KNOWN.get(name.strip())
    if known is None:
        raise CorruptionError(spec, "is no known corruption")
    try:
        level = float(number)
    except ValueError as error:
        raise CorruptionError(spec, "needs a number behind its colon") from error
    if not known.least <= level <= known.most:
        raise CorruptionError(spec, f"{level:g} is out of range")
    change = known.change
    if data is not None and known.material is not None:
        change = partial(change, material=known.material(data))
    return Corruption(name.strip(), level, known.modality, change)


# Voices


def noise(pcm: Pcm, snr_db: float, rng: Random, material: Sequence[Pcm] = ()) -> Pcm:
    """Add noise at a ratio of mean powers, of the whole take: recorded, or of a random colour.

    The sum is scaled down rather than clipped.
    """
    added = _stretch_of(material, len(pcm), rng) if material else _coloured(len(pcm), rng)
    wanted = _power(pcm) * 10 ** (-snr_db / 10)
    noisy = pcm + added * np.sqrt(wanted / max(_power(added), 1e-20))
    fitting: Pcm = (noisy / max(1.0, float(np.abs(noisy).max()))).astype(np.float32)
    return fitting


def reverb(pcm: Pcm, rt60_s: float, rng: Random) -> Pcm:
    """Put the voice in a room whose sound falls by 60 dB in a time (Polack's model).

    The impulse response is the direct sound, then Gaussian noise under an exponential, as
    powerful as the direct sound. Length and mean power stay.
    """
    time_s = np.arange(1, max(2, round(1.5 * rt60_s * SAMPLE_RATE_HZ))) / SAMPLE_RATE_HZ
    tail = rng.normal(size=len(time_s)) * 10 ** (-3 * time_s / rt60_s)
    response = np.concatenate([[1.0], tail / np.sqrt(tail @ tail)])
    size = 1 << (len(pcm) + len(response) - 1).bit_length()
    spectrum = np.fft.rfft(pcm, size) * np.fft.rfft(response, size)
    wet = np.fft.irfft(spectrum, size)[: len(pcm)]
    wet *= np.sqrt(_power(pcm) / max(_power(wet), 1e-20))
    return np.clip(wet, -1.0, 1.0).astype(np.float32)


def clip(pcm: Pcm, share: float, _: Random) -> Pcm:
    """Amplify until a share of the samples is cut off at full scale."""
    loud = np.abs(pcm[pcm != 0])
    limit = float(np.quantile(loud, 1 - share)) if len(loud) else 1.0
    clipped: Pcm = np.clip(pcm / limit, -1.0, 1.0).astype(np.float32)
    return clipped


def gain(pcm: Pcm, gain_db: float, _: Random) -> Pcm:
    """Make it louder or softer, as a recorder of 16 bits has it: cut off, and in steps."""
    loud = np.round(pcm * (10 ** (gain_db / 20) * 32768))
    stepped: Pcm = (np.clip(loud, -32768, 32767) / 32768).astype(np.float32)
    return stepped


def band(pcm: Pcm, rate_hz: float, _: Random) -> Pcm:
    """Take out what sampling at a rate would lose: everything above half of it."""
    spectrum = np.fft.rfft(pcm)
    spectrum[np.fft.rfftfreq(len(pcm), 1 / SAMPLE_RATE_HZ) >= rate_hz / 2] = 0
    return np.clip(np.fft.irfft(spectrum, len(pcm)), -1.0, 1.0).astype(np.float32)


# Faces


def blur(crop: Crop, sigma_px: float, _: Random) -> Crop:
    """Blur by a Gaussian of a deviation in pixels of the crop."""
    return cv2.GaussianBlur(crop, (0, 0), sigma_px).astype(np.uint8)


def jpeg(crop: Crop, quality: float, _: Random) -> Crop:
    """Compress as JPEG of a quality from 1 to 100."""
    packed = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, round(quality)])[1]
    grey = cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE)
    assert grey is not None, "what was just packed unpacks"
    return grey.astype(np.uint8)


def dark(crop: Crop, share: float, rng: Random) -> Crop:
    """Leave a share of the light, beside a sensor's noise of two grey levels."""
    seen = crop * share + rng.normal(0, 2.0, crop.shape)
    return np.clip(np.round(seen), 0, 255).astype(np.uint8)


def occlude(crop: Crop, share: float, rng: Random) -> Crop:
    """Hide a share of the face behind a rectangle of one grey."""
    height, width = crop.shape
    tall = np.clip(np.sqrt(share) * 2 ** rng.uniform(-0.5, 0.5), share, 1.0)
    sides = round(height * tall), round(width * share / tall)
    top, left = rng.integers(0, height - sides[0] + 1), rng.integers(0, width - sides[1] + 1)
    hidden = crop.copy()
    hidden[top : top + sides[0], left : left + sides[1]] = rng.integers(0, 256)
    return hidden


def small(crop: Crop, size_px: float, _: Random) -> Crop:
    """See the face as few pixels across as from afar, then enlarged as a live one is."""
    height, width = crop.shape
    across = round(size_px), max(1, round(size_px * height / width))
    far = cv2.resize(crop, across, interpolation=cv2.INTER_AREA).astype(np.uint8)
    if (height, width) == (48, 48):
        return resize(far)
    return cv2.resize(far, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.uint8)


# Texts


def misheard(text: str, rate: float, rng: Random, material: Alike | None = None) -> str:
    """Get about a rate of the words wrong, as `mishear` does."""
    return " ".join(mishear(text.split(), rate, material or {}, rng))


def lower(text: str, share: float, rng: Random) -> str:
    """Write a share of the texts in small letters."""
    return text.lower() if rng.random() < share else text


def unpunctuated(text: str, share: float, rng: Random) -> str:
    """Take every mark but the apostrophe out of a share of the texts, unless nothing is left."""
    if rng.random() >= share:
        return text
    return " ".join(re.sub(r"[^\w\s'’]", " ", text).split()) or text


def _coloured(samples: int, rng: Random) -> Pcm:
    """Noise whose spectrum is a random power of the frequency, from white to brown."""
    spectrum = np.fft.rfft(rng.normal(size=samples))
    hz = np.fft.rfftfreq(samples, 1 / SAMPLE_RATE_HZ)
    # Flat below 50 Hz, so that brown noise is no mere drift.
    spectrum *= np.maximum(hz, 50.0) ** -rng.uniform(0.0, 1.0)
    return np.fft.irfft(spectrum, samples).astype(np.float32)


def _stretch_of(recordings: Sequence[Pcm], samples: int, rng: Random) -> Pcm:
    """One of the recordings from a random place on, from its start again at its end."""
    whole = recordings[int(rng.integers(len(recordings)))]
    return np.resize(np.roll(whole, -int(rng.integers(len(whole)))), samples)


def _power(pcm: npt.NDArray[Any]) -> float:
    return float(np.mean(np.square(pcm, dtype=np.float64)))


def _recorded_noise(data: Path) -> tuple[Pcm, ...]:
    folder = data / "noise" / "esc50"
    recordings = tuple(read_sound(path) for path in sorted(folder.glob("*.wav")))
    audible = tuple(pcm for pcm in recordings if _power(pcm) > 0)
    if not audible:
        raise DataError(folder, "holds no noise; give the data folder that holds noise/esc50")
    return audible


def _heard_words(data: Path) -> Alike:
    return by_sound(map(str, read_goemotions(data, "train").inputs))


KNOWN: Final = {
    "noise": Known("voice", "signal-to-noise ratio in dB", -20, 60, noise, _recorded_noise),
    "reverb": Known("voice", "reverberation time RT60 in s", 0.05, 5, reverb),
    "clip": Known("voice", "share of clipped samples", 0, 0.9, clip),
    "gain": Known("voice", "gain in dB", -80, 40, gain),
    "band": Known("voice", "sampling rate in Hz, 8000 for telephone", 500, 16000, band),
    "blur": Known("face", "deviation in px of the 48 px crop", 0.1, 20, blur),
    "jpeg": Known("face", "quality", 1, 100, jpeg),
    "dark": Known("face", "share of the light that is left", 0, 1, dark),
    "occlude": Known("face", "share of the face that is hidden", 0.01, 1, occlude),
    "small": Known("face", "width in px that the face was seen in", 2, 48, small),
    "mishear": Known("text", "errors a word", 0, 1, misheard, _heard_words),
    "lower": Known("text", "share of the texts in small letters", 0, 1, lower),
    "unpunctuated": Known("text", "share of the texts without marks", 0, 1, unpunctuated),
}
"""Every corruption by its name."""
