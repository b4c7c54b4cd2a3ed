from pathlib import Path

import numpy as np

from engines.preprocess import text
from engines.window import TextWindow
from train.augment_text import texts
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


def test_misheard_words_sound_like_others_of_the_batch() -> None:
    how = TextAugment(mishear=0.9)
    rng = np.random.default_rng(0)
    plain = text.buckets(["their"])[0]
    batch = texts(["their"] * 400 + ["there"], how, rng)[:400]
    other = text.buckets(["there"])[0]
    kept = (batch == plain).all(axis=1).mean()
    swapped = (batch == other).all(axis=1).mean()
    # A rate of 0 to 0.9, 0.45 on average: of its errors 0.2 omit, which here leaves the word.
    assert abs(kept - (0.55 + 0.2 * 0.45 + 0.0)) < 0.08
    assert abs(swapped - 0.6 * 0.45) < 0.08
