# ruff: noqa: E402, imports follow the skip
"""Weights of few bits are close to what they were, and their bytes are exactly what was trained."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs credence[train]")

from train.models.packed import pack, rounded


@pytest.mark.parametrize(("bits", "most"), [(4, 7), (8, 127)])
def test_rounded_weight_is_the_nearest_of_few(bits: int, most: int) -> None:
    layer = torch.nn.Linear(6, 5)
    weight = layer.weight.detach().numpy().copy()
    step = np.abs(weight).max(axis=1, keepdims=True) / most
    expected = np.rint(weight / step) * step
    found = rounded(layer, bits).weight.detach().numpy()
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("bits", "number", "bytes_a_row"), [(4, "torch.uint8", 3), (8, "torch.int8", 6)]
)
def test_packed_layer_computes_the_same(bits: int, number: str, bytes_a_row: int) -> None:
    layer = rounded(torch.nn.Linear(6, 5), bits)
    batch = torch.randn(3, 6)
    before = layer(batch).detach()
    pack(layer)
    torch.testing.assert_close(layer(batch), before)
    stored = layer.parametrizations.weight.original0
    assert (str(stored.dtype), stored.shape) == (number, (5, bytes_a_row))


def test_packed_convolution_computes_the_same() -> None:
    layer = rounded(torch.nn.Conv1d(3, 4, 3), 8)
    batch = torch.randn(2, 3, 9)
    before = layer(batch).detach()
    pack(layer)
    torch.testing.assert_close(layer(batch), before)


def test_empty_row_stays_empty() -> None:
    layer = torch.nn.Embedding(3, 4, padding_idx=0)
    assert (rounded(layer, 4).weight[0] == 0).all()
    pack(layer)
    assert (layer.weight[0] == 0).all()


def test_gradient_passes_as_if_nothing_was_rounded() -> None:
    layer = rounded(torch.nn.Linear(6, 5), 4)
    layer(torch.ones(2, 6)).sum().backward()
    torch.testing.assert_close(layer.parametrizations.weight.original.grad, torch.full((5, 6), 2.0))
