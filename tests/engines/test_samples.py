"""A user's own inputs for a calibration: read as the engines are given them, or refused."""

import wave
from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.preprocess import voice
from engines.samples import SamplesError, read


def write_wav(path: Path, pcm: np.ndarray, rate_hz: int = 16_000) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate_hz, 0, "NONE", ""))
        file.writeframes((pcm * 32767).astype("<i2").tobytes())


def test_pictures_are_read_as_crops(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for i in range(40):
        picture = random.integers(0, 255, (60 + i, 70, 3)).astype(np.uint8)
        cv2.imwrite(str(tmp_path / f"{i}.png"), picture)
    rows = read(tmp_path, "face")
    assert rows.shape == (40, 1, 48, 48)
    assert rows.mean(axis=(1, 2, 3)) == pytest.approx(np.zeros(40), abs=1e-5)


def test_speech_is_cut_into_segments(tmp_path: Path) -> None:
    pcm = np.random.default_rng(0).normal(0, 0.1, 16_000 * 100).astype(np.float32)
    write_wav(tmp_path / "long.wav", pcm)
    rows = read(tmp_path, "voice")
    assert rows.shape == (34, 1, voice.MELS, voice.SEGMENT_FRAMES)


def test_speech_that_is_cut_short_within_a_sample_is_read(tmp_path: Path) -> None:
    pcm = np.random.default_rng(0).normal(0, 0.1, 16_000 * 100).astype(np.float32)
    write_wav(path := tmp_path / "long.wav", pcm)
    path.write_bytes(path.read_bytes()[:-1])
    assert len(read(tmp_path, "voice")) == 34


def test_text_has_a_sentence_a_line(tmp_path: Path) -> None:
    said = "\n".join(f"this is sentence {i}\n" for i in range(50))
    (tmp_path / "said.txt").write_text(said)
    assert read(tmp_path, "text").shape[0] == 50


def test_what_cannot_be_used_is_named(tmp_path: Path) -> None:
    with pytest.raises(SamplesError, match=r"a face engine needs 32 inputs or more \(\.png or"):
        read(tmp_path, "face")
    with pytest.raises(SamplesError, match="nowhere: there is no such folder"):
        read(tmp_path / "nowhere", "text")
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(SamplesError, match=r"a\.txt: cannot be read \(Is a directory\)"):
        read(tmp_path, "text")
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(SamplesError, match=r"a\.png: is no picture that can be read"):
        read(tmp_path, "face")
    write_wav(tmp_path / "a.wav", np.zeros(800), 8_000)
    with pytest.raises(SamplesError, match=r"a\.wav: must be mono, 16 kHz, 16 bit"):
        read(tmp_path, "voice")
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    with pytest.raises(SamplesError, match=r"a\.wav: is no WAV file"):
        read(tmp_path, "voice")
