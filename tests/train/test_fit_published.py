"""From the published file to figures of the test part, by the command that a user gives."""

import json
import re
from pathlib import Path

import pytest
import yaml

pytest.importorskip("torch", reason="training needs credence[train]")

from tests.train.published import m3ed, mosei
from tests.train.test_train_cli import run
from train.data.mosei import LABELS
from train.recipe import read_any

RECIPES = Path(__file__).parents[2] / "train" / "recipes"
TINY = {
    "network": {
        **{"width": 8, "layers": 1, "heads": 2, "feed_forward": 8, "dropout": 0.0},
        **{"hidden": [8], "latent": 4},
    },
    "loss": {"queue": 32},
    "optimise": {"epochs": 2, "batch": 8, "rate": 0.001},
}


def tiny(tmp_path: Path, corpus: str) -> Path:
    """Return the shipped recipe with a smaller network and fewer epochs."""
    path = tmp_path / f"{corpus}.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load((RECIPES / path.name).read_text()) | TINY))
    return path


@pytest.mark.parametrize("corpus", ["mosei", "m3ed"])
def test_the_shipped_recipe_has_the_papers_sizes(corpus: str) -> None:
    recipe = read_any(RECIPES / f"{corpus}.yaml").model_dump()
    assert recipe["corpus"] == corpus
    assert recipe["network"] == {
        **{"width": 256, "layers": 3, "heads": 8, "feed_forward": 256, "dropout": 0.3},
        **{"hidden": (192, 128), "latent": 128, "together": 0, "fusion": "uncertainty"},
    }
    assert recipe["loss"] == {
        **{"features": 0.3, "own": 0.0, "contrast": 1.0, "temperature": 0.07, "queue": 8192},
        **{"calibration": 0.3, "correctness": "joint"},
    }
    assert recipe["optimise"] == {"epochs": 30, "batch": 64, "rate": 2e-4, "warmup": 0.1}


@pytest.mark.parametrize("corpus", ["aligned", "unaligned", "m3ed"])
@pytest.mark.timeout(60)
def test_one_command_goes_from_the_published_file_to_figures(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    corpus: str,
) -> None:
    name = "m3ed" if corpus == "m3ed" else "mosei"
    if name == "m3ed":
        m3ed(tmp_path)
    else:
        table = mosei(tmp_path, aligned=corpus == "aligned") / "label.csv"
        table.write_text("\n".join(table.read_text().splitlines()[:-1]))
    words = ("fit", tiny(tmp_path, name), "--data", tmp_path, "--run", tmp_path / "run")
    assert run(monkeypatch, *words, "--device", "cpu") == 0
    said = capsys.readouterr().out
    assert ("1 of 8 samples of test have no labels and are left out" in said) == (name == "mosei")
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    metrics = results["metrics"]["test"]
    assert metrics["n"] == (8 if name == "m3ed" else 7)
    assert len(results["thresholds"]) == len(results["labels"])
    assert re.search(
        rf"test, epoch {results['epoch']}: accuracy {metrics['accuracy']:.3f}, micro_precision",
        said,
    )


def test_a_label_that_is_asked_for_but_never_shown_in_training_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    table = mosei(tmp_path) / "label.csv"
    table.write_text(re.sub(r"(?m)^(train.*),[\d.]+$", r"\1,0", table.read_text()))
    words = ("fit", tiny(tmp_path, "mosei"), "--data", tmp_path, "--run", tmp_path / "run")
    assert run(monkeypatch, *words, "--device", "cpu") == 2
    said = capsys.readouterr().err
    assert f"{LABELS[-1]} is held out but nowhere trained on" in said
    assert said.count("\n") == 1
