"""What is measured of voices, against sounds whose pitch, pace and level are known."""

import numpy as np
import numpy.typing as npt
import pytest

from engines.prosody import UNITS, prosody
from engines.window import SAMPLE_RATE_HZ, VoiceWindow


def buzz(pitch_hz: npt.ArrayLike, seconds: float = 2.0) -> npt.NDArray[np.float64]:
    """Return a sound with eight harmonics, as vowels have, whose pitch may glide."""
    hz = np.broadcast_to(pitch_hz, round(seconds * SAMPLE_RATE_HZ))
    phase = 2 * np.pi * np.cumsum(hz) / SAMPLE_RATE_HZ
    harmonics = np.arange(1, 9)[:, None]
    sound: npt.NDArray[np.float64] = 0.1 * (np.sin(harmonics * phase) / harmonics).sum(axis=0)
    return sound


def measured(pcm: npt.NDArray[np.float64]) -> dict[str, float]:
    return prosody(VoiceWindow(0.0, pcm.astype(np.float32)))


@pytest.mark.parametrize("pitch_hz", [80, 120, 200, 300, 450])
def test_the_pitch_of_a_vowel_is_found(pitch_hz: float) -> None:
    found = measured(buzz(pitch_hz))
    assert found["pitch"] == pytest.approx(pitch_hz, rel=0.01)
    assert found["pitch_range"] < 0.1
    assert found["jitter"] < 0.1
    assert found["pauses"] == 0
    assert found.keys() == UNITS.keys()


def test_a_glide_over_an_octave_has_its_range() -> None:
    glide = np.geomspace(100, 200, 2 * SAMPLE_RATE_HZ)
    assert measured(buzz(glide))["pitch_range"] == pytest.approx(0.8 * 12, abs=0.6)
    shaking = 150 * (1 + 0.03 * np.sin(2 * np.pi * 11 * np.arange(2 * SAMPLE_RATE_HZ) / 16_000))
    assert measured(buzz(shaking))["jitter"] > 5 * measured(buzz(150))["jitter"]


@pytest.mark.parametrize("per_s", [2, 4, 6])
def test_syllables_are_counted(per_s: int) -> None:
    seconds = 3
    at_s = np.arange(seconds * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    spoken = buzz(150, seconds) * (0.52 - 0.48 * np.cos(2 * np.pi * per_s * at_s))
    assert measured(spoken)["rate"] == pytest.approx(per_s, rel=0.15)


def test_level_and_pauses_are_of_speech() -> None:
    loud, soft = measured(buzz(150)), measured(0.1 * buzz(150))
    assert loud["level"] - soft["level"] == pytest.approx(20, abs=0.1)
    with_rest = np.concatenate([buzz(150, 1.0), np.zeros(SAMPLE_RATE_HZ)])
    assert measured(with_rest)["pauses"] == pytest.approx(50, abs=5)
    assert measured(with_rest)["level"] == pytest.approx(loud["level"], abs=1.0)


def test_what_cannot_be_measured_is_left_out() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 2 * SAMPLE_RATE_HZ)
    assert measured(noise).keys() == {"level", "pauses", "rate"}
    assert measured(np.zeros(SAMPLE_RATE_HZ)) == {}
    assert measured(np.zeros(3)) == {}
    assert np.isfinite(list(measured(np.full(40, 0.1)).values())).all()
