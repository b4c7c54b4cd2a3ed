"""Each figure beside scikit-learn, or all orders tried one by one."""

import doctest
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

from train import trust
from train.checks import Bools, Floats, Indices, TrustError

decisions = st.lists(
    st.tuples(st.booleans(), st.sampled_from([0.1, 0.3, 0.55, 0.8, 1.0])), min_size=1, max_size=6
)


def some(n: int = 400, seed: int = 0) -> tuple[Bools, Floats]:
    rng = np.random.default_rng(seed)
    confidence = rng.beta(3, 1.5, n)
    return rng.random(n) < confidence**1.5, confidence


def predictions(n: int = 200) -> tuple[Floats, Indices]:
    rng = np.random.default_rng(1)
    return rng.dirichlet(np.ones(7), n), rng.integers(0, 7, n)


def test_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(trust).attempted >= 12
    assert doctest.testmod(trust).failed == 0


@settings(max_examples=40, deadline=None)
@given(decisions)
def test_areas_are_the_mean_over_all_orders_of_equal_confidences(
    pairs: list[tuple[bool, float]],
) -> None:
    n = len(pairs)
    aurcs, augrcs = [], []
    for order in itertools.permutations(pairs):
        if list(order) != sorted(order, key=lambda pair: -pair[1]):
            continue
        errors = np.cumsum([not right for right, _ in order])
        aurcs.append((errors / np.arange(1, n + 1)).mean())
        augrcs.append(np.trapezoid(np.append(0, errors) / n, np.linspace(0, 1, n + 1)))
    right, sure = zip(*pairs, strict=True)
    assert trust.aurc(right, sure) == pytest.approx(np.mean(aurcs))
    assert trust.augrc(right, sure) == pytest.approx(np.mean(augrcs))
    assert trust.e_aurc(right, sure) >= -1e-12


def test_augrc_follows_from_the_auroc_as_published() -> None:
    right, sure = some()
    auroc, a = sk.roc_auc_score(right, sure), right.mean()
    expected = (1 - auroc) * a * (1 - a) + (1 - a) ** 2 / 2
    assert trust.augrc(right, sure) == pytest.approx(expected)


def test_e_aurc_is_nought_for_the_best_order_and_near_the_published_formula() -> None:
    right, sure = some(20_000)
    assert trust.e_aurc(right, right * 0.5) == 0
    r = 1 - right.mean()
    published = trust.aurc(right, sure) - (r + (1 - r) * np.log(1 - r))
    assert trust.e_aurc(right, sure) == pytest.approx(published, abs=1e-4)


@settings(max_examples=40, deadline=None)
@given(decisions)
def test_error_auroc_equals_scikit_learn(pairs: list[tuple[bool, float]]) -> None:
    right, sure = zip(*pairs, strict=True)
    if len(set(right)) == 1:
        assert trust.error_auroc(right, sure) is None
    else:
        assert trust.error_auroc(right, sure) == pytest.approx(sk.roc_auc_score(right, sure))


@settings(max_examples=40, deadline=None)
@given(decisions, st.sampled_from([0.0, 0.3, 0.5, 0.9, 1.0]))
def test_trusted_equals_scikit_learn(pairs: list[tuple[bool, float]], threshold: float) -> None:
    right, sure = map(np.array, zip(*pairs, strict=True))
    found, chosen = trust.trusted(right, sure, threshold), sure >= threshold
    assert found.accuracy == pytest.approx(sk.accuracy_score(right, chosen))
    assert found.coverage == pytest.approx(chosen.mean())
    assert (found.precision is None) == (not chosen.any())
    if found.precision is not None:
        assert found.precision == pytest.approx(sk.precision_score(right, chosen))
    if found.f1 is not None:
        assert found.f1 == pytest.approx(sk.f1_score(right, chosen))
        assert found.recall == pytest.approx(sk.recall_score(right, chosen))


@settings(max_examples=40, deadline=None)
@given(decisions)
def test_best_threshold_beats_every_other(pairs: list[tuple[bool, float]]) -> None:
    right, sure = zip(*pairs, strict=True)
    best = trust.trusted(right, sure, trust.best_threshold(right, sure)).f1 or 0
    assert best >= max(trust.trusted(right, sure, c).f1 or 0 for c in sure) - 1e-12
    assert best >= trust.trust_everything_f1(right) - 1e-12


def test_trusting_everything_gives_the_published_headline() -> None:
    right = np.arange(10_000) < 8240
    assert trust.trust_everything_f1(right) == pytest.approx(0.9035, abs=5e-5)
    assert trust.trusted(right, np.ones(10_000), 0).f1 == trust.trust_everything_f1(right)


def test_coverage_at_is_the_largest_that_a_threshold_reaches() -> None:
    right, sure = some()
    for precision in (0.8, 0.9, 0.95, 1.0):
        reached = [(sure >= c).mean() for c in sure if right[sure >= c].mean() >= precision - 1e-12]
        assert trust.coverage_at(right, sure, precision) == pytest.approx(max(reached, default=0))
    assert trust.coverage_at([True] * 9 + [False], [0.5] * 10, 0.9) == 1
    assert trust.coverage_at([False], [0.5], 0.9) == 0


def test_reliability_equals_scikit_learn() -> None:
    right, sure = some()
    accuracy, confidence = calibration_curve(right, sure, n_bins=15)
    found = trust.reliability(right, sure, 15)
    np.testing.assert_allclose(found.accuracy, accuracy)
    np.testing.assert_allclose(found.confidence, confidence)


def test_ece_equals_a_loop_over_bins() -> None:
    right, sure = some()
    expected = 0.0
    for low in np.arange(15) / 15:
        inside = (sure > low) & (sure <= low + 1 / 15)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - sure[inside].mean())
    assert trust.ece(right, sure) == pytest.approx(expected)
    assert trust.ece([True, False], [1.0, 0.0]) == 0


def test_adaptive_ece_has_bins_of_equal_count_and_no_order() -> None:
    right, sure = some(300)
    order = np.argsort(sure)
    bins = [(right[i], sure[i]) for i in np.split(order, 15)]
    expected = np.mean([abs(r.mean() - c.mean()) for r, c in bins])
    assert trust.adaptive_ece(right, sure) == pytest.approx(expected)
    few = np.round(sure, 1)
    shuffled = np.random.default_rng(0).permutation(300)
    assert trust.adaptive_ece(right, few) == pytest.approx(
        trust.adaptive_ece(right[shuffled], few[shuffled])
    )


def test_reliability_leaves_out_empty_bins_and_loses_nobody() -> None:
    right, sure = some()
    found = trust.reliability(right, sure, 15)
    assert found.count.sum() == len(right)
    assert (found.count >= 1).all()
    assert (np.diff(found.confidence) > 0).all()
    assert (found.accuracy * found.count).sum() == pytest.approx(right.sum())


def test_nll_and_brier_equal_scikit_learn() -> None:
    p, truth = predictions()
    assert trust.nll(p, truth) == pytest.approx(sk.log_loss(truth, p, labels=range(7)))
    expected = sk.brier_score_loss(truth, p, labels=range(7), scale_by_half=False)
    assert trust.brier(p, truth) == pytest.approx(expected)
    assert np.isfinite(trust.nll([[1.0, 0.0]], [1]))


def test_bootstrap_covers_the_mean_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(100):
        people = np.repeat(np.arange(40), 10)
        values = rng.normal(0, 1, 40)[people] + rng.normal(0, 1, 400)

        def mean(chosen: Indices, values: Floats = values) -> float:
            return float(values[chosen].mean())

        low, high = trust.bootstrap(mean, people, draws=200, seed=trial)
        covered += low <= 0 <= high
    assert 86 <= covered <= 100


def test_bootstrap_draws_whole_people_and_is_repeatable() -> None:
    people = np.array(["ann", "bo", "ann", "cy"])

    def check(chosen: Indices) -> float | None:
        drawn = np.bincount(chosen, minlength=4)
        assert drawn[0] == drawn[2]
        assert drawn[[0, 1, 3]].sum() == 3
        return float(drawn[1]) or None

    assert trust.bootstrap(check, people, draws=50) == trust.bootstrap(check, people, draws=50)


def test_bootstrap_refuses_what_gives_no_interval() -> None:
    with pytest.raises(TrustError, match="two groups"):
        trust.bootstrap(lambda chosen: 1.0, ["ann"] * 9)
    with pytest.raises(TrustError, match="every draw"):
        trust.bootstrap(lambda chosen: None, ["ann", "bo"])


@pytest.mark.parametrize(
    ("correct", "confidence", "sentence"),
    [
        ([], [], "at least one sample"),
        ([True], [0.5, 0.6], "1 decisions have 2"),
        ([True], [np.nan], "no|not a number"),
        ([True], [np.inf], "not a number"),
        ([True], [1.1], "not a number"),
        ([np.nan], [0.5], "True or False"),
        ([[True]], [[0.5]], "list"),
    ],
)
def test_impossible_decisions_are_refused(
    correct: list[float], confidence: list[float], sentence: str
) -> None:
    for figure in (trust.aurc, trust.augrc, trust.ece, trust.error_auroc, trust.best_threshold):
        with pytest.raises(TrustError, match=sentence):
            figure(correct, confidence)


@pytest.mark.parametrize(
    ("probability", "truth"),
    [
        ([[0.5, 0.6]], [0]),
        ([[np.nan, 1.0]], [0]),
        ([[1.5, -0.5]], [0]),
        ([[0.5, 0.5]], [2]),
        ([[0.5, 0.5]], [-1]),
        ([[0.5, 0.5]], [0.5]),
        ([[0.5, 0.5]], [0, 1]),
        ([0.5, 0.5], [0, 1]),
    ],
)
def test_impossible_probabilities_are_refused(probability: object, truth: list[float]) -> None:
    for figure in (trust.nll, trust.brier):
        with pytest.raises(TrustError):
            figure(probability, truth)  # type: ignore[arg-type]
    with pytest.raises(TrustError, match="bin"):
        trust.ece([True], [0.5], 0)
