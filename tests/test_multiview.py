"""The multi-view benchmark's protocol, on views that are drawn here."""

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from benchmarks.multiview import evidential
from benchmarks.multiview.__main__ import measured
from benchmarks.multiview.data import (
    BenchmarkDataError,
    Dataset,
    Views,
    conflictive,
    drawn,
    load,
    noisy,
)
from benchmarks.multiview.kernel import Geometry, KernelRidge
from benchmarks.multiview.methods import most_uncertain


def views(n: int = 150, classes: int = 3, spread: float = 2.0) -> Views:
    """Three views of Gaussian classes, their centres `spread` deviations apart."""
    rng = np.random.default_rng(0)
    truth = np.arange(n) % classes
    centres = rng.normal(0, spread, (3, classes, 4))
    return Views(tuple(c[truth] + rng.normal(0, 1, (n, 4)) for c in centres), truth)


def changed(before: Views, after: Views) -> np.ndarray:
    """(V, N) which views of which samples differ."""
    pairs = zip(before.features, after.features, strict=True)
    return np.array([(a != b).any(axis=1) for a, b in pairs])


def test_a_split_is_scaled_by_its_training_part() -> None:
    split = drawn(Dataset("drawn", views()), seed=1)
    assert [len(split.train.truth), len(split.tests["clean"].truth)] == [120, 30]
    for x in split.train.features:
        assert x.min(axis=0) == pytest.approx(np.zeros(4))
        assert x.max(axis=0) == pytest.approx(np.ones(4))
    assert any(x.max() > 1 or x.min() < 0 for x in split.tests["clean"].features)


def test_a_fixed_split_is_kept() -> None:
    everyone = views()
    for seed in range(2):
        split = drawn(Dataset("fixed", everyone, fixed=100), seed)
        assert (split.train.truth == everyone.truth[:100]).all()


def test_noisy_leaves_a_view_as_it_was() -> None:
    clean = views()
    spoiled = changed(clean, noisy(clean, np.random.default_rng(0)))
    assert 0 < spoiled.any(axis=0).sum() <= 15
    assert not spoiled.all(axis=0).any()


def test_conflictive_swaps_one_view_for_the_next_class() -> None:
    clean = views()
    swapped = conflictive(clean, clean, np.random.default_rng(0))
    touched = changed(clean, swapped)
    assert touched.sum() == touched.any(axis=0).sum() == 60
    for v, i in np.argwhere(touched):
        donor = (clean.features[v] == swapped.features[v][i]).all(axis=1).argmax()
        assert clean.truth[donor] == (clean.truth[i] + 1) % 3


def test_leaving_out_in_closed_form_is_leaving_out() -> None:
    part = views(60)
    geometry = Geometry(part.features)
    whole = KernelRidge.fit((0, 2), geometry.within, part.truth)
    rest = np.arange(1, 60)
    # The same geometry, so that only the sample is missing.
    without = KernelRidge.fit(
        (0, 2), [d[np.ix_(rest, rest)] for d in geometry.within], part.truth[rest]
    )
    scores = without.probabilities([d[:1, rest] for d in geometry.within])
    logs = np.log(scores[0]) * without.temperature
    expected = np.log(whole.left_out[0]) * whole.temperature
    assert logs - logs[0] == pytest.approx(expected - expected[0], abs=1e-3)


def test_far_from_everything_nothing_is_known() -> None:
    part = views()
    geometry = Geometry(part.features)
    source = KernelRidge.fit((0,), geometry.within, part.truth)
    strange = source.probabilities(geometry.to(tuple(x + 1e4 for x in part.features)))
    assert most_uncertain(strange).uncertainty == pytest.approx(np.ones(len(strange)), abs=1e-4)


def test_most_uncertain_keeps_the_probabilities() -> None:
    p = np.random.default_rng(0).dirichlet(np.ones(5) / 2, 200)
    opinion = most_uncertain(p)
    assert opinion.projected == pytest.approx(p, abs=1e-6)
    assert opinion.belief.sum(axis=1) + opinion.uncertainty == pytest.approx(np.ones(200))
    assert opinion.belief.min(axis=1) == pytest.approx(np.zeros(200))


@pytest.mark.timeout(60)  # the first optimiser of a process loads much of torch
def test_fusion_outlives_a_swapped_view(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidential, "STEPS", 40)
    scores = measured(Dataset("drawn", views(300, classes=5, spread=4.0)), range(2))

    def accuracy(method: str, condition: str) -> float:
        return float(np.mean([right for right, _ in scores[method][condition]]))

    assert len(scores) == 10
    assert all(accuracy(method, "clean") > 0.8 for method in scores)
    assert accuracy("ours", "conflictive") > accuracy("concatenated LR", "conflictive")
    assert accuracy("ours", "clean") > accuracy("ours", "conflictive")


def test_files_that_are_missing_or_of_another_form_are_named(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkDataError, match=r"handwritten\.mat: there is no such file"):
        load(tmp_path)
    savemat(tmp_path / "handwritten.mat", {"other": np.zeros(3)})
    with pytest.raises(BenchmarkDataError, match="not the published file"):
        load(tmp_path)
