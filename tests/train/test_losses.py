# ruff: noqa: E402, imports follow the skip
"""Losses against torch.distributions and against numbers worked out otherwise."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="losses need credence[train]")

from scipy import special, stats
from torch import Tensor

from train.losses import cross_entropy, divergence, edl, loss, trusted
from train.recipe import CalibratedHead, EdlHead

ONES = torch.ones(7)


def batch(seed: int = 0) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(seed)
    logits, votes = rng.normal(0, 3, (9, 7)), rng.dirichlet(np.full(7, 0.3), 9)
    return torch.tensor(logits, requires_grad=True), torch.tensor(votes)


def test_cross_entropy_equals_torch_on_soft_labels() -> None:
    logits, votes = batch()
    expected = torch.nn.functional.cross_entropy(logits, votes, reduction="none")
    torch.testing.assert_close(cross_entropy(logits, votes, ONES.double()), expected)
    rare = torch.arange(1.0, 8.0).double()
    expected = torch.nn.functional.cross_entropy(logits, votes, rare, reduction="none")
    torch.testing.assert_close(cross_entropy(logits, votes, rare), expected)


def test_edl_is_the_expected_cross_entropy_under_the_dirichlet() -> None:
    evidence = np.array([0.0, 9.0, 1.0, 0.0, 0.5, 0.0, 3.0])
    votes = np.array([0.1, 0.6, 0.0, 0.0, 0.0, 0.0, 0.3])
    drawn = np.random.default_rng(0).dirichlet(evidence + 1, 200_000)
    found = edl(torch.tensor(evidence)[None], torch.tensor(votes)[None], ONES.double())
    assert found.item() == pytest.approx(float(-(np.log(drawn) @ votes).mean()), rel=0.01)
    alpha = evidence + 1
    exact = votes @ (special.digamma(alpha.sum()) - special.digamma(alpha))
    assert found.item() == pytest.approx(float(exact))


def test_divergence_equals_torch_distributions() -> None:
    logits, votes = batch(1)
    evidence = logits.detach().exp()
    wrong = torch.distributions.Dirichlet(evidence * (1 - votes) + 1)
    even = torch.distributions.Dirichlet(torch.ones(9, 7).double())
    expected = torch.distributions.kl_divergence(wrong, even)
    torch.testing.assert_close(divergence(evidence, votes), expected)
    assert stats.dirichlet.entropy([1.0] * 7) == pytest.approx(even.entropy()[0].item())


def test_divergence_leaves_evidence_for_the_truth_alone() -> None:
    truth = torch.eye(7)[:1]
    assert divergence(100 * truth, truth).item() == pytest.approx(0.0, abs=1e-5)
    assert divergence(100 * truth.roll(1), truth).item() > 3


def test_trusted_pulls_confidence_up_where_right_and_down_where_wrong() -> None:
    sure = torch.tensor([0.7, 0.7, 0.0, 1.0], requires_grad=True)
    right = torch.tensor([True, False, True, False])
    found = trusted(sure, right)
    np.testing.assert_allclose(found[:2].tolist(), [-np.log(0.7), -np.log(0.3)], rtol=1e-6)
    assert torch.isfinite(found).all()
    found[:2].sum().backward()  # type: ignore[no-untyped-call]
    assert sure.grad is not None
    assert sure.grad[0] < 0 < sure.grad[1]


def test_loss_adds_trust_by_beta() -> None:
    logits, votes = batch(2)
    none, some = (loss(CalibratedHead(trust=b), logits, votes, ONES, 0.5) for b in (0.0, 0.5))
    p = torch.softmax(logits, dim=1).amax(dim=1)
    right = logits.argmax(dim=1) == votes.argmax(dim=1)
    torch.testing.assert_close(some - none, 0.5 * trusted(p, right))


def test_loss_anneals_the_divergence() -> None:
    logits, votes = batch(3)
    head = EdlHead(kind="edl", anneal=0.4)
    start, middle, late, end = (loss(head, logits, votes, ONES, t) for t in (0.0, 0.2, 0.4, 1.0))
    evidence = torch.nn.functional.softplus(logits)
    torch.testing.assert_close(start, edl(evidence, votes, ONES))
    torch.testing.assert_close(late - start, divergence(evidence, votes))
    torch.testing.assert_close(middle - start, (late - start) / 2)
    torch.testing.assert_close(end, late)


@pytest.mark.parametrize("evidence", ["softplus", "exp"])
def test_loss_of_absurd_logits_is_finite(evidence: str) -> None:
    logits = torch.tensor([[500.0] + [-500.0] * 6, [-500.0] * 7], requires_grad=True)
    head = EdlHead.model_validate({"kind": "edl", "evidence": evidence, "trust": 0.5})
    found = loss(head, logits, torch.eye(7)[:2], ONES, 1.0).sum()
    found.backward()  # type: ignore[no-untyped-call]
    assert torch.isfinite(found)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
