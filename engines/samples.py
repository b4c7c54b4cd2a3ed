"""A folder of a user's own inputs, as the engines are given them: what int8 is calibrated on."""

import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from engines.errors import CredenceError
from engines.manifest import Kind, Modality
from engines.preprocess import face, text, voice
from engines.runtime import Batch, stacked
from engines.window import SAMPLE_RATE_HZ, FaceWindow, TextWindow, VoiceWindow

MOST: Final = 2048
"""Rows that are read; more tell a calibration nothing new."""

_ENDINGS: Final[dict[Modality, tuple[str, ...]]] = {
    "face": (".png", ".jpg", ".jpeg"),
    "voice": (".wav",),
    "text": (".txt",),
}


class SamplesError(CredenceError):
    """A folder that holds nothing to calibrate on."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path, self.problem = path, problem


def read(folder: Path, kind: Kind) -> Batch:
    """Return rows (n, ...) as the network of this kind is given them, 1 ≤ n ≤ 2,048.

    Faces are crops of any size, cut as tightly as `preprocess.face` does; voices are 16-bit mono
    WAV files at 16 kHz; texts have a sentence a line. Raises SamplesError.
    """
    if kind == "multilabel":
        raise SamplesError(
            folder, "no files hold what a multilabel engine is given; leave --data out"
        )
    if not folder.is_dir():
        raise SamplesError(folder, "there is no such folder")
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _ENDINGS[kind])
    rows: list[Batch] = []
    for path in files:
        rows += _rows(path, kind)
        if sum(map(len, rows)) >= MOST:
            break
    if not rows:
        endings = " or ".join(_ENDINGS[kind])
        raise SamplesError(folder, f"there is no input for a {kind} engine in it ({endings})")
    return stacked(rows)[:MOST]


def _rows(path: Path, kind: Modality) -> Iterator[Batch]:
    match kind:
        case "face":
            picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
            if picture is None:
                raise SamplesError(path, "is no picture that can be read")
            crop = face.resize(picture.astype(np.uint8))
            yield face.tensor(FaceWindow(0.0, 0.0, crop[None]))
        case "voice":
            yield voice.tensor(VoiceWindow(0.0, _sound(path)))
        case "text":
            for line in _lines(path):
                yield text.tensor(TextWindow(0.0, 0.0, line))


def _lines(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise SamplesError(path, f"cannot be read ({error.strerror})") from error
    return [line for line in lines if line.strip()]


def _sound(path: Path) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    try:
        with wave.open(str(path), "rb") as file:
            form = (file.getframerate(), file.getnchannels(), file.getsampwidth())
            raw = file.readframes(file.getnframes())
    except (wave.Error, EOFError, OSError) as error:
        raise SamplesError(path, f"is no WAV file that can be read ({error})") from error
    if form != (SAMPLE_RATE_HZ, 1, 2) or not raw:
        raise SamplesError(
            path, "must be mono, 16 kHz, 16 bit: ffmpeg -i IN -ac 1 -ar 16000 OUT.wav makes it so"
        )
    whole = raw[: len(raw) // 2 * 2]  # a file may be cut short within a sample
    return np.frombuffer(whole, dtype="<i2").astype(np.float32) / 32768.0
