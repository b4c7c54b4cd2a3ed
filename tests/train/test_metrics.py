import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn import metrics as sk

from train.calibrate import surprise, temperature
from train.metrics import confusion, rank_correlation, scores

labels = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=60)


@settings(max_examples=30, deadline=None)
@given(labels)
def test_scores_equal_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    truth, guess = np.array(pairs).T
    found = scores(truth, guess)
    present = np.unique(truth)
    assert found == pytest.approx(
        {
            "n": len(truth),
            "accuracy": sk.accuracy_score(truth, guess),
            "uar": sk.recall_score(truth, guess, labels=present, average="macro", zero_division=0),
            "macro_f1": sk.f1_score(truth, guess, average="macro", zero_division=0),
            "weighted_f1": sk.f1_score(truth, guess, average="weighted", zero_division=0),
        }
    )


def test_no_decision_is_a_wrong_one() -> None:
    truth = np.array([0, 0, 1, 2])
    found = scores(truth, np.array([0, -1, 1, -1]))
    assert found == pytest.approx(
        {
            "n": 4,
            "accuracy": 0.5,
            "uar": 0.5,
            "macro_f1": (2 / 3 + 1 + 0) / 3,
            "weighted_f1": 7 / 12,
        }
    )
    assert confusion(truth, np.array([0, -1, 1, -1])).sum() == 2


def test_confusion_equals_scikit_learn() -> None:
    truth, guess = np.random.default_rng(0).integers(0, 7, (2, 200))
    np.testing.assert_array_equal(
        confusion(truth, guess), sk.confusion_matrix(truth, guess, labels=range(7))
    )


def test_temperature_finds_the_one_that_was_hidden() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (20_000, 7))
    odds = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = (rng.random((len(odds), 1)) > odds.cumsum(axis=1)).sum(axis=1).clip(max=6)
    assert temperature(3 * logits, truth) == pytest.approx(3, rel=0.03)


def test_temperature_beats_its_neighbours_and_survives_perfection() -> None:
    rng = np.random.default_rng(1)
    logits, truth = rng.normal(0, 1, (50, 7)), rng.integers(0, 7, 50)
    logits[np.arange(50), truth] += 1
    best = temperature(logits, truth)
    for other in (0.9 * best, 1.1 * best):
        assert surprise(logits / best, truth) <= surprise(logits / other, truth)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert 0.05 <= temperature(100 * np.eye(7), np.arange(7)) <= 20


def test_surprise_equals_scikit_learn() -> None:
    rng = np.random.default_rng(2)
    logits, truth = rng.normal(0, 3, (40, 7)), rng.integers(0, 7, 40)
    odds = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert surprise(logits, truth) == pytest.approx(sk.log_loss(truth, odds, labels=range(7)))


def test_rank_correlation_equals_scipy_with_ties() -> None:
    a, b = np.random.default_rng(0).integers(0, 9, (2, 60)).astype(np.float64)
    assert rank_correlation(a, b) == pytest.approx(spearmanr(a, b).statistic)
    assert rank_correlation(a, np.zeros(60)) is None
