from pathlib import Path

import numpy as np

from engines.preprocess import voice
from train import augment
from train.recipe import FaceAugment, VoiceAugment, read_recipe

RECIPES = Path(__file__).parents[2] / "train" / "recipes"
FACE = np.random.default_rng(0).integers(0, 255, (48, 48)).astype(np.uint8)
MEL = voice.log_mel(np.random.default_rng(0).normal(0, 0.1, 24_000).astype(np.float32))


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


def test_noise_has_the_ratio_it_says() -> None:
    rng = np.random.default_rng(0)
    ratios = []
    for _ in range(50):
        noisy = augment.add_noise(MEL, 10.0, rng)
        added = np.exp(noisy).mean() - np.exp(MEL).mean()
        ratios.append(10 * np.log10(np.exp(MEL).mean() / added))
    assert abs(np.mean(ratios) - 10) < 1.5


def test_mixup_keeps_targets_a_distribution() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(32, 1, 4, 4)).astype(np.float32)
    y = np.eye(7, dtype=np.float32)[rng.integers(0, 7, 32)]
    before = x.copy()
    augment.mixup(x, y, 0.3, rng)
    np.testing.assert_allclose(y.sum(axis=1), 1, atol=1e-6)
    assert (y.max(axis=1) >= 0.5 - 1e-6).all()
    assert np.abs(x - before).max() > 0
