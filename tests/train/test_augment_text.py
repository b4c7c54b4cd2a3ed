from pathlib import Path

import numpy as np

from engines.preprocess import text
from engines.window import TextWindow
from train.augment_text import misspelt, texts
from train.recipe import TextAugment, read_recipe

RECIPES = Path(__file__).parents[2] / "train" / "recipes"
SAID = "I never thought that it would end like this!"


def test_texts_follow_the_seed() -> None:
    how = read_recipe(RECIPES / "text.yaml").augment
    assert isinstance(how, TextAugment)
    first, again, other = (
        texts([SAID] * 20, how, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert first.shape == (20, text.WORDS * text.PIECES)
    assert first.dtype == np.int64
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_no_variation_is_what_runs_live() -> None:
    batch = texts([SAID, ""], TextAugment(), np.random.default_rng(0))
    for row, said in zip(batch, (SAID, ""), strict=True):
        np.testing.assert_array_equal(row, text.tensor(TextWindow(0.0, 0.0, said))[0])


def test_every_variation_leaves_something() -> None:
    how = TextAugment(drop=0.9, misspell=0.09, unmark=1.0)
    batch = texts(["!", "no", "?!", "go away"] * 25, how, np.random.default_rng(0))
    assert (batch > 0).any(axis=1).all()


def test_dropped_words_are_as_many_as_said() -> None:
    how = TextAugment(drop=0.3)
    batch = texts([SAID] * 200, how, np.random.default_rng(0))
    words = (batch.reshape(200, text.WORDS, text.PIECES) > 0).any(axis=2).sum(axis=1)
    assert abs(words.mean() / len(text.words(SAID)) - 0.7) < 0.03


def test_misspelt_is_one_edit_away() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        other = misspelt("word", rng)
        assert other
        assert abs(len(other) - 4) <= 1
    assert all(misspelt("a", rng) for _ in range(50))
