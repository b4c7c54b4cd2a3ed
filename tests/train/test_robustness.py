"""Every corruption does what its level says, and nothing that the seed does not decide."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.errors import CredenceError
from train.data.samples import Input
from train.robustness import KNOWN, Corruption, CorruptionError, corruption

_RANDOM = np.random.default_rng(0)
SPEECH = (_RANDOM.normal(0, 0.05, 32_000) * np.repeat([1.0, 0.1], 16_000)).astype(np.float32)
FACE = cv2.GaussianBlur(_RANDOM.integers(0, 255, (48, 48)).astype(np.uint8), (0, 0), 1.0).astype(
    np.uint8
)
SAID = "I never thought, honestly, that it would END like this!"
ITEMS: dict[str, Input] = {"voice": SPEECH, "face": FACE, "text": SAID}
MIDDLE = {
    **{"noise": 10, "reverb": 0.5, "clip": 0.1, "gain": -20, "band": 8000},
    **{"blur": 2, "jpeg": 10, "dark": 0.2, "occlude": 0.2, "small": 12},
    **{"mishear": 0.5, "lower": 1, "unpunctuated": 1},
}


def voice(spec: str, seed: int = 0) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    changed = corruption(spec).apply(SPEECH, np.random.default_rng(seed))
    return np.asarray(changed, dtype=np.float64)


def face(spec: str, seed: int = 0) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return np.asarray(corruption(spec).apply(FACE, np.random.default_rng(seed)), dtype=np.float64)


def same(a: Input, b: Input) -> bool:
    return bool(np.array_equal(np.asarray(a), np.asarray(b)))


@pytest.mark.parametrize("name", KNOWN)
def test_apply_changes_a_copy_and_follows_the_seed(name: str) -> None:
    how = corruption(f"{name}:{MIDDLE[name]}")
    item = ITEMS[how.modality]
    before = item if isinstance(item, str) else item.copy()
    first, again = (how.apply(item, np.random.default_rng(1)) for _ in range(2))
    assert same(item, before)
    assert same(first, again)
    assert not same(first, item)
    if not isinstance(item, str) and not isinstance(first, str):
        assert (first.shape, first.dtype) == (item.shape, item.dtype)
        assert np.abs(first.astype(np.float64)).max() <= (1 if name in VOICE else 255)


VOICE = {name for name, known in KNOWN.items() if known.modality == "voice"}


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("end", ["least", "most"])
def test_apply_survives_the_ends_of_its_range_and_odd_inputs(name: str, end: str) -> None:
    how = corruption(f"{name}:{getattr(KNOWN[name], end)}")
    odd: dict[str, list[Input]] = {
        "voice": [SPEECH, np.zeros(400, np.float32), np.ones(1, np.float32)],
        "face": [FACE, np.zeros((48, 48), np.uint8), FACE[:30, :21]],
        "text": [SAID, "", "!", "no"],
    }
    for item in odd[how.modality]:
        changed = how.apply(item, np.random.default_rng(0))
        if isinstance(changed, str):
            assert bool(changed) == bool(item)
        else:
            assert changed.shape == np.shape(item)
            assert np.isfinite(changed).all()


@pytest.mark.parametrize("snr_db", [20, 10, 0])
def test_noise_has_the_ratio_it_says(snr_db: int) -> None:
    for seed in range(10):
        added = voice(f"noise:{snr_db}", seed) - SPEECH
        found = 10 * np.log10(np.mean(SPEECH.astype(np.float64) ** 2) / np.mean(added**2))
        assert found == pytest.approx(snr_db, abs=0.1)


def test_noise_is_recorded_where_there_are_recordings(corpora: Path) -> None:
    how = corruption("noise:0", corpora)
    assert how == corruption("noise:0")  # the same corruption, from other material
    first, other = (how.apply(SPEECH, np.random.default_rng(s)) for s in (0, 1))
    assert not same(first, other)
    power = np.mean((np.asarray(first) - SPEECH).astype(np.float64) ** 2)
    assert power == pytest.approx(np.mean(SPEECH.astype(np.float64) ** 2), rel=0.5)


@pytest.mark.parametrize("rt60_s", [0.3, 0.8])
def test_reverb_falls_by_60_db_in_the_time_it_says(rt60_s: float) -> None:
    click = np.zeros(32_000, np.float32)
    click[100] = 0.5
    wet = corruption(f"reverb:{rt60_s}").apply(click, np.random.default_rng(0))
    # Schroeder's backward integration; the slope between -8 and -28 dB, as ISO 3382 has T20.
    left_db = 10 * np.log10(np.cumsum(np.asarray(wet, np.float64)[:100:-1] ** 2)[::-1])
    left_db -= left_db[0]
    part = np.flatnonzero((left_db < -8) & (left_db > -28))
    slope = np.polyfit(part / 16_000, left_db[part], 1)[0]
    assert -60 / slope == pytest.approx(rt60_s, rel=0.05)


def test_clip_cuts_the_share_it_says() -> None:
    assert np.mean(np.abs(voice("clip:0.1")) >= 1) == pytest.approx(0.1, abs=0.001)


def test_gain_is_what_it_says_in_steps_of_16_bits() -> None:
    softer = voice("gain:-20")
    assert softer.std() / SPEECH.std() == pytest.approx(0.1, rel=0.01)
    assert np.array_equal(softer * 32768, np.round(softer * 32768))
    assert np.abs(voice("gain:40")).max() == 1.0


def test_band_takes_out_what_lies_above_half_its_rate() -> None:
    power = np.abs(np.fft.rfft(voice("band:8000"))) ** 2
    hz = np.fft.rfftfreq(len(SPEECH), 1 / 16_000)
    before = np.abs(np.fft.rfft(SPEECH)) ** 2
    assert power[hz >= 4000].sum() < 1e-10 * power.sum()
    np.testing.assert_allclose(power[hz < 3999].sum(), before[hz < 3999].sum(), rtol=1e-6)


def test_blur_is_the_gaussian_it_says() -> None:
    edge = np.repeat([[0] * 24 + [255] * 24], 48, axis=0).astype(np.uint8)
    blurred = np.asarray(corruption("blur:2").apply(edge, _RANDOM), np.float64)
    spread, where = np.diff(blurred[24]) / 255, np.arange(47) - 23
    assert np.sqrt(spread @ where**2) == pytest.approx(2, abs=0.1)


def test_jpeg_loses_more_at_less_quality() -> None:
    loss = [np.abs(face(f"jpeg:{quality}") - FACE).mean() for quality in (90, 30, 5)]
    assert 0 < loss[0] < loss[1] < loss[2]


def test_dark_leaves_the_light_it_says() -> None:
    assert face("dark:0.3").mean() == pytest.approx(0.3 * FACE.mean(), abs=1)


def test_occlude_hides_the_share_it_says() -> None:
    hidden = [np.mean(face("occlude:0.25", seed) != FACE) for seed in range(20)]
    assert np.mean(hidden) == pytest.approx(0.25, abs=0.02)


def test_small_leaves_no_more_detail_than_it_says() -> None:
    spectrum = np.abs(np.fft.fft2(face("small:12") - face("small:12").mean())) ** 2
    fine = np.abs(np.fft.fftfreq(48)) > 12 / 48  # twice what 12 px can hold
    assert spectrum[fine].sum() + spectrum[:, fine].sum() < 0.05 * spectrum.sum()
    assert same(face("small:48"), FACE)


def test_mishear_gets_the_rate_wrong_that_it_says() -> None:
    said = " ".join(["their"] * 5000)
    heard = str(corruption("mishear:0.3").apply(said, np.random.default_rng(0))).split()
    assert heard.count("their") / 5000 == pytest.approx(1 - 0.8 * 0.3, abs=0.02)


def test_mishear_puts_real_words_where_there_are_texts(corpora: Path) -> None:
    heard = str(corruption("mishear:0.9", corpora).apply("their " * 100, _RANDOM)).split()
    assert {"there", "the", "three"} & set(heard)


def test_lower_and_unpunctuated_write_it_otherwise() -> None:
    rng = np.random.default_rng(0)
    assert corruption("lower:1").apply(SAID, rng) == SAID.lower()
    assert corruption("unpunctuated:1").apply(SAID, rng) == SAID.replace(",", "").replace("!", "")
    some = [corruption("lower:0.3").apply(SAID, rng) == SAID for _ in range(500)]
    assert np.mean(some) == pytest.approx(0.7, abs=0.06)


def test_corruption_is_a_name_and_a_level() -> None:
    how = corruption("noise:10")
    assert isinstance(how, Corruption)
    assert (how.name, how.level, how.modality) == ("noise", 10.0, "voice")


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("fog:1", "is no known corruption"),
        ("", "is no known corruption"),
        ("noise", "needs a number"),
        ("noise:", "needs a number"),
        ("noise:loud", "needs a number"),
        ("noise:nan", "out of range"),
        ("jpeg:101", "101 is out of range"),
        ("small:0", "out of range"),
    ],
)
def test_corruption_refuses_in_a_sentence_that_lists_the_known(spec: str, problem: str) -> None:
    with pytest.raises(CorruptionError, match=problem) as caught:
        corruption(spec)
    assert "noise:LEVEL, voice, signal-to-noise ratio in dB (-20 to 60)" in str(caught.value)
    assert all(name in str(caught.value) for name in KNOWN)


def test_corruption_refuses_a_folder_without_noise(tmp_path: Path) -> None:
    with pytest.raises(CredenceError, match="holds no noise"):
        corruption("noise:10", tmp_path)
