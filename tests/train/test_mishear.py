"""Misheard words are as many and of the kinds that is said."""

from collections import Counter

import numpy as np
import pytest

from train.mishear import mishear, misspelt, sound_of


@pytest.mark.parametrize(("one", "other"), [("their", "there"), ("wait", "wet"), ("sea", "see")])
def test_sound_of_words_alike(one: str, other: str) -> None:
    assert sound_of(one) == sound_of(other)


def test_sound_of_tells_others_apart() -> None:
    assert sound_of("happy") != sound_of("sad")


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.3])
def test_mishear_makes_as_many_errors_as_asked(rate: float) -> None:
    said = ["their"] * 20_000
    heard = Counter(mishear(said, rate, {sound_of("there"): ["there"]}, np.random.default_rng(0)))
    assert set(heard) <= {"their", "there"}
    assert heard["their"] / len(said) == pytest.approx(1 - 0.8 * rate, abs=0.01)
    assert heard["there"] / len(said) == pytest.approx(0.8 * rate, abs=0.01)


def test_mishear_follows_the_seed() -> None:
    said = ["it", "was", "a", "very", "good", "day"] * 3
    alike = {sound_of("wise"): ["wise"]}
    once, again, other = (
        mishear(said, 0.5, alike, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert once == again != other


def test_mishear_leaves_marks_and_something_to_read() -> None:
    rng = np.random.default_rng(0)
    assert all("!" in mishear(["no", "!"], 1.0, {}, rng) for _ in range(50))
    assert all(mishear(["no"], 1.0, {}, rng) for _ in range(50))


def test_misspelt_is_one_edit_away() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        other = misspelt("word", rng)
        assert other
        assert abs(len(other) - 4) <= 1
    assert all(misspelt("a", rng) for _ in range(50))
