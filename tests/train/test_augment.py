from pathlib import Path

import numpy as np
import pytest

from engines.preprocess import face, voice
from engines.window import FaceWindow, VoiceWindow
from train import augment
from train.recipe import FaceAugment, VoiceAugment, read_recipe
from train.robustness import corruption

RECIPES = Path(__file__).parents[2] / "train" / "recipes"
FACE = np.random.default_rng(0).integers(0, 255, (48, 48)).astype(np.uint8)
PCM = np.random.default_rng(0).normal(0, 0.1, 24_000).astype(np.float32)
MEL = voice.log_mel(PCM)


def test_faces_are_normalised_and_follow_the_seed() -> None:
    how = read_recipe(RECIPES / "face.yaml").augment
    assert isinstance(how, FaceAugment)
    first, again, other = (
        augment.faces([FACE] * 20, how, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert first.shape == (20, 1, 48, 48)
    assert first.dtype == np.float32
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1
    assert np.abs(first.mean(axis=(1, 2, 3))).max() < 1e-4


def test_voices_have_the_shape_of_live_segments_whatever_their_length() -> None:
    how = read_recipe(RECIPES / "voice.yaml").augment
    assert isinstance(how, VoiceAugment)
    rng = np.random.default_rng(1)
    batch = augment.voices([MEL, MEL[:, :1], np.tile(MEL, 5)], how, rng)
    assert batch.shape == (3, 1, 64, 300)
    assert batch.dtype == np.float32
    assert np.isfinite(batch).all()


def test_no_variation_is_what_runs_live() -> None:
    rng = np.random.default_rng(1)
    live = voice.segments(MEL)[:1]
    np.testing.assert_allclose(augment.voices([MEL], VoiceAugment(), rng), live, atol=1e-4)


@pytest.mark.parametrize("ratio_db", [-5.0, 10.0, 25.0])
def test_noise_has_the_ratio_it_says(ratio_db: float) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        noisy = augment.add_noise(MEL, ratio_db, rng)
        added = np.exp(noisy.astype(np.float64)).mean() - np.exp(MEL.astype(np.float64)).mean()
        assert abs(10 * np.log10(np.exp(MEL).mean() / added) - ratio_db) < 1


def test_band_limit_takes_out_what_the_telephone_does() -> None:
    told = corruption("band:8000").apply(PCM, np.random.default_rng(0))
    assert not isinstance(told, str)
    limited, real = augment.limit_band(MEL), voice.log_mel(told)
    above = voice.filters()[:129].sum(axis=0) == 0  # no part of these mels is below 4 kHz
    assert 8 < above.sum() < 32
    assert (limited[above] == np.float32(np.log(voice.FLOOR))).all()
    assert np.abs(limited[~above] - real[~above])[:-1].mean() < 0.1


def test_reverb_in_powers_is_near_reverb_of_the_sound() -> None:
    burst = PCM * np.repeat([1.0, 1e-4], [8_000, 16_000]).astype(np.float32)
    real = [
        voice.log_mel(np.asarray(corruption("reverb:0.5").apply(burst, np.random.default_rng(s))))
        for s in range(20)
    ]
    powers = np.exp(real).mean(axis=(0, 1))
    told = np.exp(augment.add_reverb(voice.log_mel(burst), 0.5)).mean(axis=0)
    falls = [10 * np.log10(p / p[20:48].mean())[55:80] for p in (powers, told)]
    assert np.abs(falls[0] - falls[1]).max() < 1.5  # dB


def test_gain_needs_no_variation() -> None:
    for gain_db in (-20, 6):
        louder = voice.tensor(VoiceWindow(0.0, PCM * np.float32(10 ** (gain_db / 20))))
        np.testing.assert_allclose(louder, voice.tensor(VoiceWindow(0.0, PCM)), atol=1e-3)


@pytest.mark.parametrize("chance", ["occlude", "dark", "small", "blur", "jpeg"])
def test_each_variation_of_a_face_happens_as_often_as_said(chance: str) -> None:
    how = FaceAugment.model_validate({chance: 0.5})
    plain = face.tensor(FaceWindow(0.0, 0.0, FACE[None]))[0]
    varied = augment.faces([FACE] * 400, how, np.random.default_rng(0))
    changed = np.abs(varied - plain).max(axis=(1, 2, 3)) > 1e-6
    assert abs(changed.mean() - 0.5) < 0.08


def test_mixup_keeps_targets_a_distribution() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(32, 1, 4, 4)).astype(np.float32)
    y = np.eye(7, dtype=np.float32)[rng.integers(0, 7, 32)]
    before = x.copy()
    augment.mixup(x, y, 0.3, rng)
    np.testing.assert_allclose(y.sum(axis=1), 1, atol=1e-6)
    assert (y.max(axis=1) >= 0.5 - 1e-6).all()
    assert np.abs(x - before).max() > 0
