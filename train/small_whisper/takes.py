"""Takes of two sentences → what a Whisper is given and what it shall answer."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from faster_whisper.feature_extractor import FeatureExtractor
from rich.progress import track
from torch import Tensor

from engines.window import SAMPLE_RATE_HZ
from train.data.samples import DataError
from train.data.sound import read_sound
from train.small_whisper.words import LETTERS, Words

Float = npt.NDArray[np.float32]

SENTENCES: Final = {
    "01": "Kids are talking by the door.",
    "02": "Dogs are sitting by the door.",
}
_BATCH: Final = 16
_NOISES: Final = 2
"""In each batch, beside the takes: what is no speech, to be answered by silence."""
_IGNORED: Final = -100
"""A token that is given, never predicted."""


@dataclass(frozen=True, slots=True, eq=False)
class Take:
    """One sentence, spoken once."""

    pcm: Float
    """(samples,) in [-1, 1] at 16 kHz, without the silence at both ends."""
    text: str
    actor: int


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """What one step learns from."""

    mel: Tensor
    """(B, 80, frames), padded with zeros as faster-whisper does."""
    given: Tensor
    """(B, tokens)"""
    wanted: Tensor
    """(B, tokens), the next of each."""
    letters: Tensor
    """(letters of all,)"""
    letter_counts: Tensor
    """(B,)"""
    heard: Tensor
    """(B,) positions of the encoder that are not padding."""


@dataclass(frozen=True, slots=True, eq=False)
class _Row:
    mel: Float
    text: str
    given: list[int]
    wanted: list[int]


def read_takes(data: Path) -> list[Take]:
    """Read every take of RAVDESS, sorted by name."""
    folder = data / "voice" / "ravdess"
    paths = sorted(folder.glob("*.flac"))
    if not paths:
        raise DataError(folder, "holds no takes; give --data the folder that holds voice/ravdess")
    takes = []
    for path in track(paths, "Reading"):
        fields = path.stem.split("-")
        takes.append(Take(_speech(read_sound(path)), SENTENCES[fields[4]], int(fields[6])))
    return takes


def batches(
    takes: list[Take], words: Words, length_s: float, rng: np.random.Generator
) -> Iterator[Batch]:
    """Yield every take once, varied, in inputs of the same length."""
    features = FeatureExtractor()
    for some in np.array_split(rng.permutation(len(takes)), steps(takes)):
        rows = [_row(takes[i].pcm, takes[i].text, words, features, rng) for i in some]
        rows += [_row(_noise(rng), "", words, features, rng) for _ in range(_NOISES)]
        yield _collate(rows, round(100 * length_s))


def steps(takes: list[Take]) -> int:
    """Return the number of batches in an epoch."""
    return -(-len(takes) // _BATCH)


def _speech(pcm: Float) -> Float:
    """Cut the silence off both ends: what is 35 dB below the loudest moment."""
    level = np.convolve(pcm**2, np.ones(400, np.float32) / 400, mode="same")
    loud = np.flatnonzero(level > level.max() * 10**-3.5)
    return pcm[loud[0] : loud[-1] + 1]


def _row(
    pcm: Float, text: str, words: Words, features: FeatureExtractor, rng: np.random.Generator
) -> _Row:
    pcm, start_s, end_s = _vary(pcm, rng)
    span_s = (start_s, end_s) if rng.random() < 0.5 else None
    tokens = words.tokens(text, span_s)
    wanted = tokens[1:]
    if not text:
        wanted[0] = words.no_speech
    elif span_s is None:
        wanted[0] = _IGNORED
    return _Row(features(pcm)[:, :-1], text, tokens[:-1], wanted)


def _vary(pcm: Float, rng: np.random.Generator) -> tuple[Float, float, float]:
    """Change pace, level, room and rests; return the sound and where speech is in it (s)."""
    pace = rng.uniform(0.88, 1.14)
    pcm = np.interp(np.arange(0, len(pcm), pace), np.arange(len(pcm)), pcm).astype(np.float32)
    before, after = (round(rng.uniform(0, 0.5) * SAMPLE_RATE_HZ) for _ in range(2))
    speech_s = before / SAMPLE_RATE_HZ, (before + len(pcm)) / SAMPLE_RATE_HZ
    level = float(np.sqrt(np.mean(pcm**2))) + 1e-6
    pcm = np.pad(pcm, (before, after))
    noisy = pcm + level * 10 ** (-rng.uniform(8, 60) / 20) * _coloured(len(pcm), rng)
    tilted = noisy + rng.uniform(-0.4, 0.4) * np.pad(noisy[:-1], (1, 0))
    return (tilted * rng.uniform(0.3, 1.5)).astype(np.float32), *speech_s


def _noise(rng: np.random.Generator) -> Float:
    """Return what is no speech: nothing at all, hiss, hum or knocks."""
    length = round(rng.uniform(0.5, 3.0) * SAMPLE_RATE_HZ)
    at = np.arange(length) / SAMPLE_RATE_HZ
    match rng.integers(4):
        case 0:
            pcm = np.zeros(length)
        case 1:
            pcm = rng.uniform(0.01, 0.3) * _coloured(length, rng)
        case 2:
            pcm = 0.2 * np.sin(2 * np.pi * rng.uniform(50, 2000) * at)
        case _:
            knocks = (rng.random(length) < 3 / SAMPLE_RATE_HZ).astype(np.float64)
            pcm = np.convolve(knocks, np.exp(-np.arange(800) / 100), mode="same")
            pcm = pcm * 0.5 * _coloured(length, rng)
    return pcm.astype(np.float32)


def _coloured(length: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Noise of unit power whose spectrum falls by 0 to 6 dB an octave."""
    spectrum = np.fft.rfft(rng.normal(size=length))
    spectrum *= np.maximum(np.arange(len(spectrum)), 20.0) ** -rng.uniform(0, 1)
    noise: npt.NDArray[np.float64] = np.fft.irfft(spectrum, length)
    noise /= noise.std() + 1e-9
    return noise


def _collate(rows: list[_Row], frames: int) -> Batch:
    mel = np.zeros((len(rows), 80, frames), np.float32)
    longest = max(len(row.given) for row in rows)
    given = torch.zeros(len(rows), longest, dtype=torch.long)
    wanted = torch.full((len(rows), longest), _IGNORED)
    spelt = [[LETTERS.index(letter) for letter in row.text.lower()] for row in rows]
    widths = [min(frames, row.mel.shape[1]) for row in rows]
    for index, row in enumerate(rows):
        mel[index, :, : widths[index]] = row.mel[:, : widths[index]]
        given[index, : len(row.given)] = torch.tensor(row.given)
        wanted[index, : len(row.wanted)] = torch.tensor(row.wanted)
    return Batch(
        torch.from_numpy(mel),
        given,
        wanted,
        torch.tensor([letter for row_letters in spelt for letter in row_letters]),
        torch.tensor([len(row_letters) for row_letters in spelt]),
        torch.tensor(widths) // 2,
    )
