import numpy as np
import pytest

from train.data.matched import match, swap

FACE = np.repeat([0, 3, 4], [10, 50, 40])
VOICE = np.repeat([0, 3, 5], [20, 20, 20])


def test_match_pairs_rows_of_one_class() -> None:
    rows = match({"face": FACE, "voice": VOICE}, 90, seed=1)
    assert (FACE[rows["face"]] == VOICE[rows["voice"]]).all()
    assert len(rows["face"]) == 90


def test_match_uses_classes_that_all_have_as_often_as_their_mean() -> None:
    rows = match({"face": FACE, "voice": VOICE}, 100, seed=1)
    share = np.array([(0.1 + 1 / 3) / 2, (0.5 + 1 / 3) / 2])
    assert np.bincount(FACE[rows["face"]])[[0, 3]] == pytest.approx(
        100 * share / share.sum(), abs=1
    )


def test_match_repeats_no_sample_before_all_are_used() -> None:
    rows = match({"face": FACE, "voice": VOICE}, 200, seed=3)["voice"]
    for c in (0, 3):
        times = np.bincount(rows, minlength=len(VOICE))[c == VOICE]
        assert times.max() - times.min() <= 1


def test_match_is_repeatable_by_seed() -> None:
    one, same, other = (match({"face": FACE, "voice": VOICE}, 60, seed=s) for s in (1, 1, 2))
    assert (one["face"] == same["face"]).all()
    assert (one["face"] != other["face"]).any()


def test_match_of_nothing_in_common_is_refused() -> None:
    with pytest.raises(ValueError, match="no emotion is in"):
        match({"face": np.array([0, 1]), "voice": np.array([2, 3])}, 10, seed=0)


def test_swap_gives_every_sample_one_of_another_class() -> None:
    other = swap(FACE, np.random.default_rng(0))
    assert (FACE[other] != FACE).all()


def test_swap_within_one_class_is_refused() -> None:
    with pytest.raises(ValueError, match="one emotion"):
        swap(np.zeros(5, np.int64), np.random.default_rng(0))
