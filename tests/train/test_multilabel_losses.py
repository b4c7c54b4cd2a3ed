# ruff: noqa: E402, imports follow the skip
"""What LDDU's training makes small, against plain loops over the formulas."""

import math

import pytest

torch = pytest.importorskip("torch", reason="training needs credence[train]")
torch.set_num_threads(1)

from torch import Tensor
from torch.nn.functional import binary_cross_entropy, cosine_similarity

from train.models.lddu import Lddu, Predicted
from train.multilabel.losses import (
    Correctness,
    Queue,
    calibration,
    contrast,
    correct,
    loss,
    own,
    placed,
)
from train.multilabel.recipe import LdduLoss, LdduSize

CPU = torch.device("cpu")
SIZE = LdduSize(width=8, layers=1, heads=2, feed_forward=8, hidden=(8,), latent=4)
TARGETS = torch.tensor([[1.0, 0, 0], [0, 1, 1], [1, 1, 0], [0, 0, 0]])


def said(size: LdduSize = SIZE, absent: bool = True) -> Predicted:
    torch.manual_seed(0)
    rows = [torch.randn(4, 3, 5), torch.randn(4, 2, 6)]
    if absent:
        rows[1][2] = 0
    answer: Predicted = Lddu(size, (5, 6), labels=3).eval()(rows)
    return answer


def looped_contrast(points: Tensor, classes: Tensor, queue: Queue, heat: float) -> float:
    """Khosla et al. 2020, eq. 2, one anchor and one equal at a time."""
    others = [*zip(points, classes.tolist(), strict=True)]
    others += [(p, c) for p, c in zip(queue.points, queue.classes.tolist(), strict=True) if c >= 0]
    found = []
    for i, (anchor, kind) in enumerate(others[: len(points)]):
        rest = [other for j, other in enumerate(others) if j != i]
        every = sum(math.exp(float(anchor @ p) / heat) for p, _ in rest)
        equals = [p for p, c in rest if c == kind]
        if equals:
            each = [-math.log(math.exp(float(anchor @ p) / heat) / every) for p in equals]
            found.append(sum(each) / len(each))
    return sum(found) / len(found) if found else 0.0


def looped_calibration(spread: Tensor, right: Tensor) -> float:
    found = [
        max(0.0, float((right[j, m] - right[i, m]) - (spread[i, m] - spread[j, m])))
        for m in range(spread.shape[1])
        for i in range(len(spread))
        for j in range(len(spread))
        if right[i, m] < right[j, m]
    ]
    return sum(found) / len(found) if found else 0.0


@pytest.mark.parametrize("filled", [0, 3, 9])
def test_contrast_is_the_formula(filled: int) -> None:
    torch.manual_seed(0)
    queue = Queue.empty(9, 4, CPU).pushed(torch.randn(filled, 4), torch.arange(filled) % 3)
    points, classes = torch.randn(7, 4), torch.tensor([0, 1, 0, 2, 5, 1, 0])
    found = contrast(points, classes, queue, 0.7).item()
    assert found == pytest.approx(looped_contrast(points, classes, queue, 0.7), rel=1e-5)


def test_contrast_of_points_without_equals_is_nothing() -> None:
    points = torch.randn(2, 4, requires_grad=True)
    found = contrast(points, torch.tensor([0, 1]), Queue.empty(4, 4, CPU), 0.07)
    (gradient,) = torch.autograd.grad(found, points)
    assert found.item() == 0
    assert gradient.isfinite().all()


def test_queue_keeps_the_latest() -> None:
    queue = Queue.empty(3, 1, CPU)
    for i in range(3):
        queue = queue.pushed(torch.tensor([[2.0 * i], [2.0 * i + 1]]), torch.tensor([i, i]))
    assert queue.points[:, 0].tolist() == [4, 5, 2]
    assert queue.classes.tolist() == [2, 2, 1]


def test_points_are_of_what_is_there_each_half_normalised() -> None:
    answer = said()
    points, classes = placed(answer, TARGETS)
    assert points.shape == (7 * 3, 8)  # one of 4 x 2 modalities is absent
    expected = []
    for b in range(4):
        for m in range(2):
            for label in range(3):
                if answer.there[b, m]:
                    expected.append(2 * (3 * m + label) + int(TARGETS[b, label]))
    assert classes.tolist() == expected
    for half, whole in ((points[:, :4], answer.mean), (points[:, 4:], answer.deviation)):
        torch.testing.assert_close(half.norm(dim=1), torch.ones(21))
        alike = cosine_similarity(half, whole[answer.there].flatten(0, 1))
        torch.testing.assert_close(alike, torch.ones(21))


def test_calibration_is_the_formula() -> None:
    torch.manual_seed(0)
    spread, right = torch.rand(6, 2), torch.rand(6, 2).round(decimals=1)
    right[1, 0] = torch.nan
    found = calibration(spread, right).item()
    assert found == pytest.approx(looped_calibration(spread, right), rel=1e-5)


def test_calibration_widens_what_was_wrong() -> None:
    spread = torch.tensor([[1.0], [1.0]], requires_grad=True)
    found = calibration(spread, torch.tensor([[0.9], [0.2]]))
    (gradient,) = torch.autograd.grad(found, spread)
    assert gradient[0] > 0 > gradient[1]  # a step down the gradient widens the second


def test_calibration_knows_nothing_in_the_first_epoch() -> None:
    spread = torch.rand(4, 2, requires_grad=True)
    found = calibration(spread, torch.full((4, 2), torch.nan))
    (gradient,) = torch.autograd.grad(found, spread)
    assert found.item() == 0
    assert (gradient == 0).all()


def test_loss_is_the_sum_of_its_parts() -> None:
    answer, queue = said(), Queue.empty(50, 8, CPU)
    right = torch.rand(4, 2)
    how = LdduLoss(features=0.3, own=0.5, contrast=0.7, calibration=0.2)
    found, after = loss(how, answer, TARGETS, queue, right)
    points, classes = placed(answer, TARGETS)
    known = torch.where(answer.there, right, torch.nan)
    expected = (
        binary_cross_entropy(answer.probability, TARGETS)
        + 0.3 * binary_cross_entropy(torch.sigmoid(answer.by_features), TARGETS)
        + 0.5 * own(answer, TARGETS)
        + 0.7 * contrast(points, classes, queue, how.temperature)
        + 0.2 * calibration(answer.spread_by_modality, known)
    )
    torch.testing.assert_close(found, expected)
    assert (after.classes >= 0).sum() == 21
    alone = binary_cross_entropy(answer.probability, TARGETS)
    nothing = LdduLoss(features=0, own=0, contrast=0, calibration=0)
    torch.testing.assert_close(loss(nothing, answer, TARGETS, queue, right)[0], alone)


def test_own_leaves_absent_modalities_out() -> None:
    answer = said()
    each = [
        binary_cross_entropy(torch.sigmoid(answer.own[b, m]), TARGETS[b]).item()
        for b in range(4)
        for m in range(2)
        if answer.there[b, m]
    ]
    assert own(answer, TARGETS).item() == pytest.approx(sum(each) / 7, rel=1e-5)


@pytest.mark.parametrize("latent", [0, 4])
def test_loss_has_a_gradient_whatever_is_left_out(latent: int) -> None:
    size = SIZE.model_copy(update={"latent": latent})
    torch.manual_seed(0)
    network = Lddu(size, (5, 6), labels=3)
    rows = [torch.randn(4, 3, 5), torch.zeros(4, 2, 6)]
    found, _ = loss(
        LdduLoss(), network(rows), TARGETS, Queue.empty(9, 2 * latent, CPU), torch.rand(4, 2)
    )
    used = torch.autograd.grad(found, list(network.parameters()), allow_unused=True)
    assert all(gradient is None or gradient.isfinite().all() for gradient in used)


@pytest.mark.parametrize("whose", ["own", "joint"])
def test_correctness_is_the_probability_of_the_truth(whose: str) -> None:
    answer = said()
    found = correct(LdduLoss.model_validate({"correctness": whose}), answer, TARGETS)
    for b in range(4):
        for m in range(2):
            p = torch.sigmoid(answer.own[b, m]) if whose == "own" else answer.probability[b]
            truth = torch.stack([1 - p, p])[TARGETS[b].long(), torch.arange(3)].mean().item()
            if answer.there[b, m]:
                assert found[b, m].item() == pytest.approx(truth, rel=1e-5)
            else:
                assert found[b, m].isnan()


def test_running_correctness_is_the_mean_of_the_epochs() -> None:
    running = Correctness.none(3, 2, CPU)
    rows = torch.tensor([2, 0])
    running.add(rows, torch.tensor([[0.5, torch.nan], [1.0, 0.0]]))
    running.add(rows, torch.tensor([[0.1, 0.4], [0.0, 0.0]]))
    found = running.mean(torch.tensor([0, 1, 2]))
    torch.testing.assert_close(found[0], torch.tensor([0.5, 0.0]))
    assert found[1].isnan().all()
    torch.testing.assert_close(found[2], torch.tensor([0.3, 0.4]))
