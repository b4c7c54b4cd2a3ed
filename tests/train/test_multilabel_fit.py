# ruff: noqa: E402, imports follow the skip
"""From sequences to a run, on a small synthetic world whose noise is known."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs credence[train]")
pytest.importorskip("tensorboard", reason="training needs credence[train]")
torch.set_num_threads(1)

from scipy.stats import spearmanr

from benchmarks.planted_noise import followed, plant, recipe
from engines.errors import CredenceError
from train.data.sequences import Parts, UnknownSequencesError
from train.multilabel.fit import fit, leave_out, train
from train.multilabel.judge import chosen, each, judge, micro_f1_error, one
from train.multilabel.metrics import scores
from train.multilabel.recipe import LdduRecipe
from train.multilabel.run import Best, read_run, resume
from train.recipe import RecipeError, of_fold, parse_any, parse_recipe
from train.run import RunError

pytestmark = pytest.mark.timeout(30, func_only=True)


SIZES = (320, 80, 200)


def small(**changes: Any) -> LdduRecipe:
    how = {"epochs": 2, "batch": 32, "rate": 1e-3} | changes.pop("optimise", {})
    return recipe(0, optimise=how, **changes)


def parts(sizes: tuple[int, int, int] = (96, 40, 40)) -> Parts:
    return Parts(*(plant(n, 0, part).samples for part, n in enumerate(sizes)))


def weights(run: Path) -> dict[str, Any]:
    return dict(read_run(run)[2].state_dict())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("multilabel") / "run"
    how = small(optimise={"epochs": 10, "rate": 5e-3}, loss={"contrast": 0})
    train(how, parts(SIZES), folder)
    return folder


def test_fit_learns_and_says_how_good_it_is(run: Path) -> None:
    _, results, network = read_run(run)
    held = parts(SIZES)
    assert (results.metrics["test"]["micro_f1"] or 0) > 0.75  # 0.57 when all are always shown
    assert results.labels == ("a", "b", "c", "d", "e")
    assert results.parts == {"face": (8, 16), "voice": (8, 12), "text": (8, 20)}
    shown = judge(network, held.test).probability >= np.array(results.thresholds, np.float32)
    assert results.metrics["test"] == pytest.approx(scores(held.test.targets > 0, shown))


def test_spread_follows_noise_that_nobody_spoke_of(run: Path) -> None:
    held = plant(SIZES[2], 0, 2)
    for spread, noise in followed(run, held):
        assert spearmanr(spread, noise).statistic > 0.5  # 0.2 at most without calibration


def test_the_epoch_is_within_an_error_of_the_best_on_validation(run: Path) -> None:
    content = torch.load(run / "checkpoint.pt", weights_only=True)
    epoch, score, floor, _ = content["best"]
    _, results, network = read_run(run)
    assert results.epoch == epoch
    valid = parts(SIZES).valid
    p, truth = judge(network, valid).probability, valid.targets > 0
    assert floor <= scores(truth, p >= one(p, truth))["micro_f1"] <= score


def test_the_last_of_the_best_epochs_is_kept(tmp_path: Path) -> None:
    state, best, kept = resume(small(), parts().train, tmp_path, torch.device("cpu")), None, []
    for state.epoch, score in enumerate([0.5, 0.45, 0.6, 0.57, 0.54, 0.56], start=1):
        best = Best.after(best, score, 0.05, state)
        kept.append((best.epoch, best.score))
    assert kept == [(1, 0.5), (2, 0.5), (3, 0.6), (4, 0.6), (4, 0.6), (6, 0.6)]


def test_standard_error_is_that_of_drawing_samples_again() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random((400, 5)) < 0.3
    shown = truth ^ (rng.random(truth.shape) < 0.2)
    drawn = rng.integers(400, size=(600, 400))
    again = [scores(truth[rows], shown[rows])["micro_f1"] for rows in drawn]
    assert micro_f1_error(truth, shown) == pytest.approx(np.std(again), rel=0.1)


def test_test_data_choose_nothing(tmp_path: Path) -> None:
    had = parts()
    train(small(), had, tmp_path / "a")
    turned = replace(had.test, targets=1 - had.test.targets)
    train(small(), replace(had, test=turned), tmp_path / "b")
    a, b = (read_run(tmp_path / name)[1] for name in "ab")
    assert (a.epoch, a.thresholds, a.metrics["valid"]) == (
        b.epoch,
        b.thresholds,
        b.metrics["valid"],
    )
    assert a.metrics["test"] != b.metrics["test"]


def test_fit_resumed_is_fit_in_one_go(tmp_path: Path) -> None:
    how = small(drop=0.2, optimise={"epochs": 3})
    train(how, parts(), tmp_path / "whole")
    for _ in range(2):
        train(how, parts(), tmp_path / "halved", stop_after=2)
    with pytest.raises(RunError, match="no finished run"):
        read_run(tmp_path / "halved")
    train(how, parts(), tmp_path / "halved")
    whole, halved = (
        torch.load(tmp_path / name / "checkpoint.pt", weights_only=True)
        for name in ("whole", "halved")
    )
    for name, value in whole["network"].items():
        assert torch.equal(value, halved["network"][name]), name
    for name in ("queue", "correctness"):
        assert all(map(torch.equal, whole[name], halved[name]))
    assert read_run(tmp_path / "whole")[1] == read_run(tmp_path / "halved")[1]


def test_a_run_is_of_one_recipe_and_one_corpus(run: Path) -> None:
    with pytest.raises(RunError, match="another recipe"):
        train(small(name="other"), parts(), run)
    how = read_run(run)[0]
    with pytest.raises(RunError, match="other data"):
        train(how, parts((64, 40, 40)), run)


def test_a_damaged_run_is_a_sentence(tmp_path: Path) -> None:
    train(small(), parts(), tmp_path, stop_after=1)
    content = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    torch.save({k: v for k, v in content.items() if k != "queue"}, tmp_path / "checkpoint.pt")
    with pytest.raises(RunError, match="was trained on other data"):
        train(small(), parts(), tmp_path)
    (tmp_path / "checkpoint.pt").write_bytes(b"PK")
    with pytest.raises(RunError, match=r"checkpoint\.pt is damaged"):
        train(small(), parts(), tmp_path)
    (tmp_path / "results.json").write_text("{}")
    with pytest.raises(RunError, match=r"results\.json is damaged"):
        read_run(tmp_path)


def test_a_label_that_nobody_trained_shows_is_refused(tmp_path: Path) -> None:
    had = parts()
    targets = had.train.targets.copy()
    targets[:, 1] = 0
    with pytest.raises(CredenceError, match="b is held out but nowhere trained on"):
        train(small(), replace(had, train=replace(had.train, targets=targets)), tmp_path)


def test_fit_says_when_the_loss_is_lost(tmp_path: Path) -> None:
    with pytest.raises(CredenceError, match=r"lower optimise\.rate"):
        train(small(optimise={"rate": 1e30}), parts(), tmp_path)


def test_fit_refuses_an_unknown_corpus_and_device(tmp_path: Path) -> None:
    with pytest.raises(UnknownSequencesError, match="'planted' is no corpus"):
        fit(small(), tmp_path, tmp_path / "run", device="cpu")
    with pytest.raises(CredenceError, match="use cpu, cuda"):
        fit(small(), tmp_path, tmp_path / "run", device="abacus")


def test_leave_out_keeps_a_modality_of_each_sample() -> None:
    rng = np.random.default_rng(0)
    rows = [np.ones((2000, 2, 3), np.float32) for _ in range(3)]
    rows[2][:1000] = 0
    leave_out(rows, 0.4, rng)
    there = np.stack([r.any(axis=(1, 2)) for r in rows], axis=1)
    assert there.any(axis=1).all()
    gone = 0.4 * (1 - 0.4**2)  # a sample of three that would lose all of them keeps all
    assert (1 - there[1000:].mean(axis=0)) == pytest.approx([gone] * 3, abs=0.05)
    assert all(set(np.unique(r)) <= {0.0, 1.0} for r in rows)


def test_thresholds_are_one_or_each_its_own() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random((400, 2)) < 0.4
    p = (0.5 * truth + 0.4 * rng.random((400, 2))).astype(np.float32)
    assert len(set(chosen(p, truth).tolist())) == 1
    p[:, 1] /= 8  # a label that never comes near the other's probabilities
    picked = chosen(p, truth)
    assert picked[1] < picked[0]
    np.testing.assert_array_equal(picked, each(p, truth))
    assert scores(truth, p >= picked)["micro_f1"] > scores(truth, p >= one(p, truth))["micro_f1"]


def test_thresholds_of_a_single_sample_are_chosen() -> None:
    p, truth = np.array([[0.9, 0.2]], np.float32), np.array([[True, False]])
    assert scores(truth, p >= chosen(p, truth))["micro_f1"] == 1


def test_recipe_is_read_with_the_others(tmp_path: Path) -> None:
    content = {"kind": "lddu", "name": "x", "corpus": "mosei", "licence": "CC0-1.0"}
    how = parse_any(content, tmp_path)
    assert isinstance(how, LdduRecipe)
    assert how.optimise.rate == 2e-4
    assert parse_any(json.loads(how.model_dump_json()), tmp_path) == how
    with pytest.raises(RecipeError, match="gives no opinions"):
        parse_recipe(content, tmp_path)
    with pytest.raises(RecipeError, match="gives no opinions"):
        of_fold(how, "1/6")
    with pytest.raises(RecipeError, match=r"network: .*multiple of heads"):
        parse_any(content | {"network": {"width": 9}}, tmp_path)
    with pytest.raises(RecipeError, match="did you mean calibration"):
        parse_any(content | {"loss": {"calibrate": 1}}, tmp_path)
