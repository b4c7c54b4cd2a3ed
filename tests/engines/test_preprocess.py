"""What a network is given does not depend on light, gain, or the silence around speech."""

import numpy as np
import pytest

from engines.preprocess import face, voice
from engines.window import SAMPLE_RATE_HZ, FaceWindow, VoiceWindow

RANDOM = np.random.default_rng(5)


def speechlike(seconds: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Return a buzz whose loudness and pitch wander, as a voice does."""
    t = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    pitch = 120 + 30 * np.sin(2 * np.pi * 0.7 * t)
    buzz = np.sign(np.sin(2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE_HZ))
    return (0.1 * buzz * (1.2 + np.sin(2 * np.pi * 3 * t))).astype(np.float32)


def test_voice_tensor_shape_and_scale() -> None:
    segments = voice.tensor(VoiceWindow(0.0, speechlike(2.0)))
    assert segments.shape == (1, 1, voice.MELS, voice.SEGMENT_FRAMES)
    assert segments.dtype == np.float32
    assert abs(float(segments.mean())) < 0.2
    assert float(segments.std()) == pytest.approx(1.0, abs=0.2)


@pytest.mark.parametrize(("seconds", "count"), [(0.01, 1), (0.5, 1), (3.0, 1), (4.0, 2), (8.0, 3)])
def test_voice_tensor_covers_any_length(seconds: float, count: int) -> None:
    segments = voice.tensor(VoiceWindow(0.0, speechlike(seconds)))
    assert segments.shape[0] == count
    assert np.isfinite(segments).all()


def test_voice_tensor_cancels_gain() -> None:
    speech = speechlike(2.0)
    loud = voice.tensor(VoiceWindow(0.0, speech))
    quiet = voice.tensor(VoiceWindow(0.0, speech * np.float32(0.1)))
    np.testing.assert_allclose(loud, quiet, atol=0.02)


def test_voice_tensor_cuts_silent_edges() -> None:
    rest = np.zeros(SAMPLE_RATE_HZ, np.float32)
    bare = voice.tensor(VoiceWindow(0.0, speechlike(3.2)))
    padded = voice.tensor(VoiceWindow(0.0, np.concatenate([rest, speechlike(3.2), rest])))
    assert padded.shape == bare.shape
    by_band = np.abs(padded.mean(axis=(0, 1, 3)) - bare.mean(axis=(0, 1, 3)))
    assert float(by_band.max()) < 0.1


def test_voice_tensor_of_digital_silence_is_finite() -> None:
    assert np.isfinite(voice.tensor(VoiceWindow(0.0, np.zeros(16_000, np.float32)))).all()


def test_log_mel_places_a_tone() -> None:
    t = np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    low, high = (
        voice.log_mel(np.sin(2 * np.pi * hz * t).astype(np.float32)).mean(axis=1).argmax()
        for hz in (300, 3000)
    )
    assert low < high
    assert abs(_centre_hz(int(low)) - 300) < 40
    assert abs(_centre_hz(int(high)) - 3000) < 150


def _centre_hz(band: int) -> float:
    low, high = (2595 * np.log10(1 + hz / 700) for hz in (60.0, 7600.0))
    centre = low + (high - low) * (band + 1) / (voice.MELS + 1)
    return float(700 * (10 ** (centre / 2595) - 1))


def test_face_tensor_cancels_light() -> None:
    crops = RANDOM.integers(40, 120, (3, 48, 48)).astype(np.uint8)
    dark = face.tensor(FaceWindow(0.0, 1.0, crops))
    bright = face.tensor(FaceWindow(0.0, 1.0, (crops * 2).astype(np.uint8)))
    assert dark.shape == (3, 1, 48, 48)
    np.testing.assert_allclose(dark, bright, atol=1e-4)


def test_face_tensor_of_a_black_crop_is_finite() -> None:
    black = face.tensor(FaceWindow(0.0, 1.0, np.zeros((1, 48, 48), np.uint8)))
    assert (black == 0).all()


@pytest.mark.parametrize("scale", [0.7, 1.0, 5.0])
@pytest.mark.parametrize("angle", [-40, 0, 30])
def test_align_puts_landmarks_on_the_template(scale: float, angle: float) -> None:
    turn = scale * np.array(
        [
            [np.cos(np.radians(angle)), -np.sin(np.radians(angle))],
            [np.sin(np.radians(angle)), np.cos(np.radians(angle))],
        ]
    )
    landmarks = (face.TEMPLATE_PX @ turn.T + [150.0, 170.0]).astype(np.float32)
    grey = np.zeros((500, 500), np.uint8)
    dot = round(1 + scale)
    for x, y in landmarks.round().astype(int):
        grey[max(y - dot, 0) : y + dot + 1, max(x - dot, 0) : x + dot + 1] = 255
    crop = face.align(grey, landmarks)
    for x, y in face.TEMPLATE_PX.round().astype(int):
        assert crop[y - 1 : y + 2, x - 1 : x + 2].max() > 60


def test_align_survives_landmarks_in_one_point() -> None:
    assert face.align(np.ones((20, 20), np.uint8), np.full((5, 2), 7, np.float32)).shape == (48, 48)


def test_crop_survives_boxes_beyond_the_picture() -> None:
    grey = RANDOM.integers(0, 255, (40, 60)).astype(np.uint8)
    assert face.crop(grey, -10, -5, 50, 60).shape == (48, 48)


def test_turned_away_tells_a_profile() -> None:
    turned = face.TEMPLATE_PX.copy()
    turned[:2, 0] = [20, 26]
    turned[2, 0] = 10
    assert face.turned_away(turned)
    assert not face.turned_away(face.TEMPLATE_PX)
