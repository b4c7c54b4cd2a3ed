# ruff: noqa: E402, imports follow the skip
"""The network for several emotions at once: shapes, masks, and what it says of nothing."""

from collections.abc import Sequence

import pytest

torch = pytest.importorskip("torch", reason="training needs credence[train]")
torch.set_num_threads(1)

from torch import Tensor

from train.models.lddu import Lddu, Predicted, Unimodal
from train.multilabel.recipe import LdduSize

WIDTHS = (6, 5, 7)
SMALL = LdduSize(width=16, layers=2, heads=4, feed_forward=16, hidden=(12,), latent=8)


def network(size: LdduSize = SMALL) -> Lddu:
    torch.manual_seed(0)
    return Lddu(size, WIDTHS, labels=4).eval()


def sequences(rows: Sequence[int], samples: int = 3) -> list[Tensor]:
    torch.manual_seed(1)
    return [torch.randn(samples, n, width) for n, width in zip(rows, WIDTHS, strict=True)]


def hear(asked: Lddu, rows: Sequence[Tensor]) -> Predicted:
    with torch.inference_mode():
        said: Predicted = asked(rows)
    return said


def same(a: Predicted, b: Predicted) -> None:
    for name in ("probability", "spread", "spread_by_modality", "mean", "own"):
        torch.testing.assert_close(getattr(a, name), getattr(b, name))


def test_shapes_are_those_of_the_contract() -> None:
    said = hear(network(), sequences([4, 9, 2]))
    shapes = {
        "probability": (3, 4),
        "by_features": (3, 4),
        "own": (3, 3, 4),
        "mean": (3, 3, 4, 8),
        "log_variance": (3, 3, 4, 8),
        "spread": (3, 4),
        "spread_by_modality": (3, 3),
        "there": (3, 3),
        "embedding": (3, 48),
    }
    assert {name: tuple(getattr(said, name).shape) for name in shapes} == shapes
    assert said.probability.min() >= 0
    assert said.probability.max() <= 1
    assert said.spread.min() > 0


def test_the_paper_s_size_is_the_default() -> None:
    said = Lddu(LdduSize(), (8, 8, 8), labels=6).eval()([torch.randn(2, 3, 8)] * 3)
    assert said.mean.shape == (2, 3, 6, 128)


def test_padding_changes_nothing() -> None:
    asked, rows = network(), sequences([4, 9, 2])
    padded = [torch.cat([r, torch.zeros(3, 5, r.shape[2])], dim=1) for r in rows]
    same(hear(asked, rows), hear(asked, padded))
    between = [torch.cat([r[:, :1], torch.zeros(3, 2, r.shape[2]), r[:, 1:]], 1) for r in rows]
    same(hear(asked, rows), hear(asked, between))


def test_padding_changes_nothing_where_inputs_are_scaled() -> None:
    asked, rows = network(), sequences([4, 9, 2])
    for modality in asked.modalities:
        assert isinstance(modality, Unimodal)
        modality.centre += 3.0
        modality.scale *= 0.5
    padded = [torch.cat([r, torch.zeros(3, 5, r.shape[2])], dim=1) for r in rows]
    same(hear(asked, rows), hear(asked, padded))


def test_a_modality_of_zeros_is_absent() -> None:
    asked, rows = network(), sequences([4, 9, 2])
    rows[1][0] = 0
    said = hear(asked, rows)
    assert said.there.tolist() == [[True, False, True], [True] * 3, [True] * 3]
    assert said.spread_by_modality[0, 1] == 0
    variance = said.log_variance.exp()[0, [0, 2]]  # (2, L, Z)
    torch.testing.assert_close(said.spread[0], variance.mean(dim=(0, 2)).sqrt())
    torch.testing.assert_close(said.spread_by_modality[0, [0, 2]], variance.mean((1, 2)).sqrt())
    rows[1] = torch.zeros(3, 0, WIDTHS[1])
    other = hear(asked, rows)
    torch.testing.assert_close(other.probability[0], said.probability[0])


@pytest.mark.parametrize("length", [0, 1, 500])
def test_any_length_is_defined(length: int) -> None:
    said = hear(network(), sequences([length] * 3))
    for name in ("probability", "spread", "spread_by_modality", "embedding"):
        assert getattr(said, name).isfinite().all()
    assert said.there.all() == (length > 0)


def test_samples_do_not_see_each_other() -> None:
    asked, rows = network(), sequences([4, 9, 2])
    whole, alone = hear(asked, rows), hear(asked, [r[1:2] for r in rows])
    torch.testing.assert_close(whole.probability[1:2], alone.probability)
    torch.testing.assert_close(whole.spread[1:2], alone.spread)


def test_p_is_fused_as_the_paper_says() -> None:
    said = hear(network(), sequences([4, 9, 2]))
    assert said.fused is not None
    by_mean, by_noise, sure = (torch.sigmoid(x) for x in (*said.fused, said.by_features))
    p = by_mean * sure + by_noise * (1 - sure)
    torch.testing.assert_close(said.probability, p)
    yes, no = said.log_probability
    torch.testing.assert_close(yes.exp(), p)
    torch.testing.assert_close(no.exp(), 1 - p)


@pytest.mark.parametrize("change", [{"fusion": "features"}, {"latent": False}])
def test_what_is_left_out_leaves_p_c(change: dict[str, object]) -> None:
    size = LdduSize.model_validate(SMALL.model_dump() | change)
    said = hear(network(size), sequences([4, 9, 2]))
    torch.testing.assert_close(said.probability, torch.sigmoid(said.by_features))
    yes, no = said.log_probability
    torch.testing.assert_close(yes.exp() + no.exp(), torch.ones(3, 4))
    assert (said.spread > 0).all() == (size.latent > 0)
    assert said.spread.isfinite().all()


@pytest.mark.parametrize("meet", [0, 8])
def test_labels_meet_only_where_a_recipe_lets_them(meet: int) -> None:
    asked = network(SMALL.model_copy(update={"together": meet}))
    rows = sequences([4, 9, 2])
    before = hear(asked, rows).by_features
    with torch.no_grad():
        asked.labels[0] += 1  # another question for the first label
    changed = (hear(asked, rows).by_features != before).any(dim=0)
    assert changed[0]
    assert changed[1:].all() == (meet > 0)
