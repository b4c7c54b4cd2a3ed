"""What a multilabel network is given: each modality in its place, padded, averaged where long."""

import numpy as np
import pytest

from engines.manifest import Modality, Part, packed_shape
from engines.preprocess import sequence
from engines.window import SequenceWindow

PARTS: dict[Modality, Part] = {"face": Part(4, 3), "voice": Part(5, 2)}
RANDOM = np.random.default_rng(0)


def rows(count: int, width: int) -> np.ndarray:
    return RANDOM.normal(size=(count, width)).astype(np.float32)


def test_each_modality_has_rows_of_its_own() -> None:
    face, voice = rows(4, 3), rows(2, 2)
    packed = sequence.tensor(SequenceWindow({"voice": voice, "face": face}), PARTS)
    assert packed.shape == (1, *packed_shape(PARTS))
    assert packed.dtype == np.float32
    np.testing.assert_array_equal(packed[0, :4], face)
    np.testing.assert_array_equal(packed[0, 4:6, :2], voice)
    assert not packed[0, 6:].any()
    assert not packed[0, 4:, 2:].any()


def test_a_long_sequence_is_averaged_in_even_runs() -> None:
    long = rows(500, 2)
    packed = sequence.tensor(SequenceWindow({"voice": long}), PARTS)
    np.testing.assert_allclose(packed[0, 4:, :2], long.reshape(5, 100, 2).mean(1), atol=1e-6)
    uneven = rows(7, 2)
    runs = [uneven[i:j].mean(0) for i, j in ((0, 1), (1, 2), (2, 4), (4, 5), (5, 7))]
    np.testing.assert_allclose(sequence.shortened(uneven, 5), runs, atol=1e-6)


@pytest.mark.parametrize(
    "nothing", [{}, {"face": np.zeros((0, 3), np.float32)}, {"face": np.zeros((6, 3), np.float32)}]
)
def test_what_is_absent_is_zeros(nothing: dict[Modality, np.ndarray]) -> None:
    voice = rows(1, 2)
    packed = sequence.tensor(SequenceWindow({**nothing, "voice": voice}), PARTS)
    assert not packed[0, :4].any()
    np.testing.assert_array_equal(packed[0, 4:5, :2], voice)


def test_padding_between_rows_is_left_out() -> None:
    there = rows(2, 3)
    padded = np.insert(there, 1, 0, axis=0)
    assert len(padded) == 3
    np.testing.assert_array_equal(sequence.shortened(padded, 4), there)


def test_a_modality_without_a_part_is_left_out() -> None:
    both = sequence.tensor(SequenceWindow({"text": rows(3, 9), "face": rows(1, 3)}), PARTS)
    assert np.flatnonzero(both[0].any(axis=1)).tolist() == [0]


@pytest.mark.parametrize("shape", [(3, 2), (0, 2), (3,), (1, 3, 3)])
def test_another_width_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(sequence.SequenceError) as caught:
        sequence.tensor(SequenceWindow({"face": np.ones(shape, np.float32)}), PARTS)
    assert f"the face sequence has the shape {shape}, where (n, 3) is wanted" in str(caught.value)
