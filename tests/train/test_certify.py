"""The promise holds as often as it says, on data where the truth is known."""

import numpy as np
import pytest
from scipy import stats

from train import certify
from train.certify import Certified, Uncertified
from train.checks import Bools, Floats, TrustError


def alone(n: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.arange(n)


@pytest.mark.parametrize(("n", "errors"), [(29, 0), (89, 4), (263, round(263 * 0.07))])
def test_published_sizes_certify_ninety_and_one_sample_fewer_does_not(n: int, errors: int) -> None:
    assert certify.lower_bound(errors, n, 0.05) >= 0.9
    assert certify.lower_bound(errors, n - 1, 0.05) < 0.9


@pytest.mark.parametrize(("n", "errors"), [(29, 0), (50, 50), (300, 17), (50_000, 4_900)])
def test_lower_bound_equals_scipy(n: int, errors: int) -> None:
    expected = stats.binomtest(n - errors, n, alternative="greater").proportion_ci(
        0.95, method="exact"
    )
    assert certify.lower_bound(errors, n, 0.05) == pytest.approx(expected.low, abs=1e-9)


def test_candidates_are_few_fixed_and_end_with_all() -> None:
    sure = np.random.default_rng(0).random(1000)
    found = certify.candidates(sure, alone(1000))
    assert len(found) == 20
    assert (sure >= found[0]).sum() == 50
    assert (sure >= found[-1]).all()
    assert certify.candidates(np.full(60, 0.5), alone(60)).tolist() == [0.5]


def test_candidates_start_later_where_few_people_repeat_themselves() -> None:
    sure, people = np.random.default_rng(0).random(1000), np.arange(1000) % 10
    first = (sure >= certify.candidates(sure, people)[0]).sum()
    assert certify.effective_size(np.arange(first) % 10, 0.05) >= 50
    assert 50 < first <= 100


def test_intraclass_correlation_finds_the_one_that_was_hidden() -> None:
    right, people = clustered(2000, 10, precision=0.8, rho=0.3, seed=0)
    assert certify.intraclass_correlation(right, people) == pytest.approx(0.3, abs=0.03)


def test_effective_size_follows_kish_and_shrinks_with_few_people() -> None:
    many = np.repeat(np.arange(5000), 10)
    assert certify.effective_size(many, 0.3) == pytest.approx(50_000 / (1 + 9 * 0.3), rel=1e-3)
    few = np.repeat(np.arange(6), 10)
    shrunk = (stats.norm.ppf(0.95) / stats.t.ppf(0.95, 5)) ** 2
    assert certify.effective_size(few, 0.3) == pytest.approx(60 * shrunk / 3.7, rel=1e-3)


def test_one_person_per_sample_counts_in_full() -> None:
    assert certify.effective_size(alone(100), 0.0) == 100
    assert certify.intraclass_correlation(alone(100) % 10 > 0, alone(100)) == 0


def test_certify_finds_the_threshold_of_a_calibrated_confidence() -> None:
    right, sure = calibrated(5000, seed=0)
    found = certify.certify(right, sure, alone(5000))
    assert isinstance(found, Certified)
    # Precision from τ on is (1 + τ) / 2: 0.9 at 0.8.
    assert 0.8 <= found.confidence < 0.9
    assert found.lower_bound >= 0.9
    assert found.n == (sure >= found.confidence).sum()
    assert found.precision == pytest.approx(right[sure >= found.confidence].mean())
    assert found.coverage == pytest.approx((sure >= found.confidence).mean())


def test_promise_holds_for_independent_samples() -> None:
    broken = 0
    for seed in range(400):
        right, sure = calibrated(600, seed)
        found = certify.certify(right, sure, alone(600))
        broken += isinstance(found, Certified) and (1 + found.confidence) / 2 < 0.9
    assert broken <= stats.binom.ppf(0.999, 400, 0.05)


@pytest.mark.parametrize(
    ("people", "each", "rho"), [(60, 20, 0.0), (60, 20, 0.3), (20, 10, 0.15), (6, 60, 0.15)]
)
def test_promise_holds_at_the_edge_when_people_repeat_themselves(
    people: int, each: int, rho: float
) -> None:
    broken = 0
    for seed in range(400):
        right, member = clustered(people, each, precision=0.8999, rho=rho, seed=seed)
        sure = np.random.default_rng(seed).random(len(right))
        broken += isinstance(certify.certify(right, sure, member), Certified)
    assert broken <= stats.binom.ppf(0.999, 400, 0.05)


@pytest.mark.parametrize(
    ("right", "people", "sentence"),
    [
        ([True] * 49, range(49), "49 samples are too few"),
        ([True] * 60, [0] * 60, "samples of one person say"),
        ([True] * 60, [0, 1] * 30, "samples of 2 people say"),
        ([True, False] * 40, range(80), "are right"),
    ],
)
def test_what_cannot_be_certified_says_why(
    right: list[bool], people: list[int], sentence: str
) -> None:
    found = certify.certify(right, np.linspace(0, 1, len(right)), people)
    assert isinstance(found, Uncertified)
    assert sentence in found.reason


def test_impossible_input_is_refused() -> None:
    with pytest.raises(TrustError, match="groups"):
        certify.certify([True], [0.5], [])
    with pytest.raises(TrustError, match="precision"):
        certify.certify([True], [0.5], [1], target=1.5)
    with pytest.raises(TrustError, match="not a number"):
        certify.certify([True], [np.nan], [1])


def calibrated(n: int, seed: int) -> tuple[Bools, Floats]:
    """Return decisions that are right exactly as often as their confidence says."""
    rng = np.random.default_rng(seed)
    sure = rng.random(n)
    return rng.random(n) < sure, sure


def clustered(
    people: int, each: int, *, precision: float, rho: float, seed: int
) -> tuple[Bools, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Return beta-binomial decisions whose intra-class correlation is rho."""
    rng = np.random.default_rng(seed)
    strength = (1 - rho) / rho if rho else 1e9
    skill = rng.beta(precision * strength, (1 - precision) * strength, people)
    member = np.repeat(np.arange(people), each)
    return rng.random(len(member)) < skill[member], member


def test_certify_goes_no_lower_than_it_is_told() -> None:
    right, sure = calibrated(5000, seed=0)
    free = certify.certify(right, sure, alone(5000))
    assert isinstance(free, certify.Certified)
    for least in (free.confidence - 0.1, free.confidence + 0.02):
        found = certify.certify(right, sure, alone(5000), at_least=least)
        assert isinstance(found, certify.Certified)
        assert found.confidence >= max(least, free.confidence) - 0.02
        assert found.confidence >= least
    never = certify.certify(right, sure, alone(5000), at_least=float(sure.max()))
    assert isinstance(never, certify.Uncertified)
    assert "reach a confidence" in never.reason
