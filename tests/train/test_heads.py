# ruff: noqa: E402, imports follow the skip
"""What heads make of logits and embeddings, and what is fitted into them."""

import numpy as np
import numpy.typing as npt
import pytest

torch = pytest.importorskip("torch", reason="heads need credence[train]")

from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import cdist
from sklearn.covariance import oas
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from engines.opinion import Opinion
from train.calibrate import correction, dilution, pooled, rising
from train.density import Gaussians, gaussians, shrunk
from train.measure import Rows, fit_head
from train.models.calibrated import Calibrated, chance, distance, familiarity, signs
from train.models.edl import Edl
from train.recipe import CalibratedHead

D = 5


def calibrated(weights: list[float] | None = None) -> Calibrated:
    return Calibrated(
        torch.tensor(2.0),
        torch.tensor(weights or [0.0] * 12),
        torch.zeros(1, D),
        torch.eye(D),
        torch.tensor([0.8, 0.3]),
    )


def far(log_distance: float) -> Tensor:
    embedding: Tensor = torch.tensor([[float(np.exp(log_distance)), *[0.0] * (D - 1)]])
    return embedding


def test_head_of_one_row_is_finite() -> None:
    row = Rows(torch.eye(7)[:1], torch.ones(1, D), np.zeros(1, np.int64))
    fitted = fit_head(CalibratedHead(), row, Gaussians(np.zeros((1, D)), np.eye(D)))
    assert all(part.isfinite().all() for part in fitted.values())
    far_from_nothing = float(np.log(D) / 2)
    assert fitted["tail"].tolist() == pytest.approx([far_from_nothing, 1e-6])


def test_calibrated_keeps_to_its_formula() -> None:
    logits = torch.tensor([[3.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0]])
    p = torch.softmax(logits / 2, dim=1).numpy()[0]
    opinion = Opinion.from_evidence(calibrated()(logits, far(0.0)).numpy()[0])
    assert 1 - opinion.uncertainty == pytest.approx(p.max(), abs=1e-5)
    np.testing.assert_allclose(opinion.belief, p.max() * p, atol=1e-5)
    shifted = calibrated([-1.0] + [0.0] * 11)(logits, far(0.0)).numpy()[0]
    odds = np.log(p.max() / (1 - p.max())) - 1
    assert 1 - Opinion.from_evidence(shifted).uncertainty == pytest.approx(
        1 / (1 + np.exp(-odds)), abs=1e-5
    )


def test_strange_input_loses_evidence() -> None:
    logits = torch.tensor([[9.0] + [0.0] * 6])
    sure = [calibrated()(logits, far(x)).sum().item() for x in (0.2, 0.8, 1.5, 2.0, 9.0)]
    assert sure[0] == pytest.approx(sure[1])
    assert sure[1] > sure[2] > sure[3] > sure[4] == pytest.approx(0.0, abs=1e-5)


def test_evidence_is_finite_for_any_logits() -> None:
    logits = torch.tensor([[1e4] + [0.0] * 6, [0.0] * 7, [-1e4] * 7])
    for evidence in (
        calibrated()(logits, far(0.0).expand(3, D)),
        Edl("exp", torch.tensor(0.05))(logits, far(0.0)),
        Edl("softplus", torch.tensor(1.0))(logits, far(0.0)),
    ):
        opinion = Opinion.from_evidence(evidence.numpy())
        assert (opinion.uncertainty > 0).all()
        assert (opinion.belief >= 0).all()


def test_edl_divides_evidence_by_its_temperature() -> None:
    logits = torch.tensor([[1.0, -1.0, 0.0, 0.0, 0.0, 0.0, 2.0]])
    found = Edl("softplus", torch.tensor(2.0))(logits, far(0.0)).numpy()
    np.testing.assert_allclose(found, np.log1p(np.exp(logits.numpy())) / 2, rtol=1e-6)


def test_signs_hold_what_they_say() -> None:
    p = torch.tensor([[0.1, 0.5, 0.05, 0.2, 0.05, 0.05, 0.05]])
    expected = [1.0, 0.0, *np.eye(7)[1], *np.log([0.5, 0.2, 0.1])]
    np.testing.assert_allclose(signs(p).numpy()[0], expected, atol=1e-6)
    assert chance(p, torch.zeros(12)).item() == pytest.approx(0.5)


def test_familiarity_falls_beyond_the_tail_as_a_gaussian_does() -> None:
    log_distance = np.linspace(0, 2.5, 9)
    found = familiarity(torch.tensor(log_distance), torch.tensor([0.8, 0.3]).double())
    tail = stats.norm(0.8, 0.3)
    expected = tail.pdf(np.maximum(log_distance, 0.8)) / tail.pdf(0.8)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)


def blobs(n: int, seed: int = 0) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 3, n)
    mixing = np.random.default_rng(9).normal(size=(D, D))
    return rng.normal(size=(n, D)) @ mixing + 4 * label[:, None], np.eye(7)[label]


def test_distance_equals_scipys_mahalanobis() -> None:
    embeddings, targets = blobs(300)
    known = gaussians(embeddings, targets)
    assert known.centres.shape == (3, D)
    means = np.stack([embeddings[targets[:, k] == 1].mean(axis=0) for k in range(3)])
    apart = embeddings - means[targets.argmax(axis=1)]
    covariance = shrunk(apart.T @ apart / len(apart), len(apart))
    expected = cdist(embeddings, means, "mahalanobis", VI=np.linalg.inv(covariance)).min(axis=1)
    found = distance(*map(torch.from_numpy, (embeddings, known.centres, known.whiten)))
    np.testing.assert_allclose(found.numpy(), np.log(expected), atol=1e-8)


def test_shrinkage_equals_scikit_learn() -> None:
    rows = np.random.default_rng(0).normal(size=(40, D)) * np.arange(1, D + 1)
    expected, share = oas(rows, assume_centered=True)
    assert 0 < share < 1
    np.testing.assert_allclose(shrunk(rows.T @ rows / 40, 40), expected, rtol=1e-9)


def test_a_dead_unit_can_be_divided_by() -> None:
    embeddings, targets = blobs(50)
    embeddings[:, 0] = 0.0
    assert np.isfinite(gaussians(embeddings, targets).whiten).all()
    assert np.isfinite(gaussians(np.zeros((9, D)), targets[:9]).whiten).all()


def test_correction_equals_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(400, 4))
    right = rng.random(400) < 1 / (1 + np.exp(-rows @ [1.0, -2.0, 0.0, 0.5]))
    reference = LogisticRegression(C=1 / 80, fit_intercept=False, tol=1e-10).fit(rows, right)
    found = correction(rows, np.zeros(400), right)
    np.testing.assert_allclose(found, reference.coef_[0], atol=1e-5)


def test_correction_leaves_good_odds_and_few_people_alone() -> None:
    rng = np.random.default_rng(1)
    odds = rng.normal(1, 2, 4000)
    right = rng.random(4000) < 1 / (1 + np.exp(-odds))
    rows = rng.normal(size=(4000, 3))
    assert np.abs(correction(rows, odds, right)).max() < 0.15
    assert np.abs(correction(rows[:4], odds[:4], ~right[:4])).max() < 0.3


def test_dilution_finds_the_one_that_was_hidden() -> None:
    rng = np.random.default_rng(0)
    total = rng.gamma(2.0, 8.0, 20_000)
    right = rng.random(len(total)) < total / (total + 7)
    assert dilution(3 * total, 7, right) == pytest.approx(3, rel=0.05)


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(0.1, 3)), min_size=1, max_size=40))
def test_pooled_equals_scikit_learn(points: list[tuple[float, float]]) -> None:
    y, weight = (np.array(column) for column in zip(*points, strict=True))
    expected = IsotonicRegression().fit(np.arange(len(y)), y, weight).predict(np.arange(len(y)))
    np.testing.assert_allclose(pooled(y, weight), expected, atol=1e-9)


def test_rising_follows_a_curve_and_keeps_equal_places_together() -> None:
    rng = np.random.default_rng(0)
    x = np.repeat(rng.random(4000), 5)
    across, height = rising(x, (rng.random(len(x)) < x**2).astype(float), 10)
    assert len(across) == 10
    np.testing.assert_allclose(height, np.square(across), atol=0.03)
    assert rising(np.ones(98), np.ones(98), 10) == ((1.0,), (0.99,))
