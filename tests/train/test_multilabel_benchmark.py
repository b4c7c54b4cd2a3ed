
"""What the benchmark of several emotions computes."""

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs credence[train]")

from sklearn.metrics import f1_score

from benchmarks.multilabel import WITHOUT, _ahead, _recipe
from engines.labels import EMOTIONS
from train.multilabel.matched import Moments

TAKES = np.arange(200) % 20


def _seen(sets: np.ndarray[Any, np.dtype[np.bool_]]) -> Moments:
    return Moments({}, sets, {"voice": TAKES}, {})


@pytest.mark.parametrize("name", WITHOUT)
def test_a_part_is_left_out_of_the_shipped_recipe(name: str) -> None:
    full, less = _recipe({}, 3, None), _recipe(WITHOUT[name], 3, None)
    assert (full == less) == (name == "LDDU")
    assert less.seed == 3
    assert _recipe(WITHOUT[name], 3, 1).optimise.epochs == 1


def test_points_ahead_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random((200, len(EMOTIONS))) < 0.2
    good, bad = (truth ^ (rng.random(truth.shape) < errors) for errors in (0.02, 0.2))
    points = [100 * f1_score(truth, shown, average="micro") for shown in (good, bad)]
    told = _ahead([good], [bad, bad], _seen(truth))
    assert told.startswith(f"{points[0] - points[1]:+.1f} [+")
