"""Pictures are drawn, of a fixed size, and say what the arrays say."""

from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="pictures need credence[train]")
from train import pictures


def test_pictures_are_drawn_and_alike_each_time(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    sure, truth = rng.random(300), rng.integers(0, 7, 300)
    guess = np.where(rng.random(300) < sure, truth, rng.integers(-1, 7, 300))
    for name in ("a", "b"):
        pictures.reliability_diagram(tmp_path / f"{name}1.png", truth == guess, sure)
        pictures.risk_coverage_curve(tmp_path / f"{name}2.png", truth == guess, sure)
        pictures.confusion_matrix(tmp_path / f"{name}3.png", truth, guess)
    for i in (1, 2, 3):
        seen = cv2.imread(str(tmp_path / f"a{i}.png"))
        assert seen is not None
        assert seen.shape == (600, 600, 3)
        assert seen.std() > 10
        assert (tmp_path / f"a{i}.png").read_bytes() == (tmp_path / f"b{i}.png").read_bytes()


def test_one_sample_can_be_drawn(tmp_path: Path) -> None:
    one = np.array([3])
    pictures.reliability_diagram(tmp_path / "1.png", [True], [1.0])
    pictures.risk_coverage_curve(tmp_path / "2.png", [True], [1.0])
    pictures.confusion_matrix(tmp_path / "3.png", one, one)
    assert all((tmp_path / f"{i}.png").stat().st_size > 1000 for i in (1, 2, 3))
