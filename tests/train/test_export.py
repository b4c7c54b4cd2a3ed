# ruff: noqa: E402, imports follow the skip
"""From a run to an engine."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs credence[train]")
pytest.importorskip("onnxscript", reason="export needs credence[train]")
pytest.importorskip("torch._dynamo")  # seconds to load, so not while a test's clock runs
torch.set_num_threads(1)

from engines.engine import open_engine
from engines.runtime import ENCODED
from engines.verify import verify
from tests.train.tiny import recipe
from train.bundle import ExportError, replacing
from train.evaluate import decide, evaluate
from train.export import _compare
from train.policy import write_policy
from train.run import read_run

# The fixtures train and export once; torch's exporter alone needs seconds to find its operators.
pytestmark = pytest.mark.timeout(30, func_only=True)

RECIPES = Path(__file__).parents[2] / "train" / "recipes"


def test_bundle_opens_and_repeats_its_reference(bundle: Path) -> None:
    engine = open_engine(bundle)
    assert verify(engine).largest_difference < 1e-4
    assert engine.manifest.training.recipe == recipe().model_dump(mode="json")
    assert set(engine.manifest.files) == {
        "MODEL_CARD.md",
        "model.onnx",
        "program.pt2",
        "reference.npz",
    }


def test_bundle_takes_batches_of_any_size(bundle: Path) -> None:
    engine = open_engine(bundle)
    program = torch.export.load(bundle / "program.pt2").module()
    with np.load(bundle / "reference.npz") as reference:
        inputs = reference["inputs"]
    for rows in (inputs[:1], inputs[:3]):
        made = engine.runtime(rows)
        there = program(torch.from_numpy(rows))
        assert len(there) == len(made)
        for name, expected in zip(ENCODED, there, strict=False):
            np.testing.assert_allclose(made[name], expected.detach().numpy(), rtol=1e-3, atol=1e-3)


def test_bundle_tells_nothing_of_the_machine(bundle: Path) -> None:
    home = str(Path(__file__).parents[2]).encode()
    assert home not in (bundle / "model.onnx").read_bytes()
    assert home not in (bundle / "program.pt2").read_bytes()
    assert b"/site-packages/" not in (bundle / "program.pt2").read_bytes()


def test_evaluate_repeats_what_fit_found(bundle: Path, run: Path, tiny: Path) -> None:
    lines = (tiny / "faces.csv").read_text().splitlines()
    valid = [line for line in lines if line.rpartition(",")[2] in {"4", "9"}]
    (tiny / "valid.csv").write_text("\n".join([lines[0], *valid]) + "\n")
    result = evaluate([bundle], tiny / "valid.csv")
    found = read_run(run)[1].metrics["faces.csv"]
    names = ("n", "accuracy", "uar", "macro_f1", "weighted_f1")
    assert {n: result.figures[n] for n in names} == pytest.approx({n: found[n] for n in names})
    assert result.unreadable == ()


def test_evaluate_counts_a_label_that_the_data_lack_as_wrong(bundle: Path, tiny: Path) -> None:
    engine = open_engine(bundle)
    with np.load(tiny / "faces.npz") as file:
        guesses = [decide(engine, image) for image in file["images"]]
    wrong = next(i for i, guess in enumerate(guesses) if guess != 0)
    (tiny / "one.csv").write_text(f"path,label\nnpz:faces.npz#{wrong},anger\n")
    assert evaluate([bundle], tiny / "one.csv").figures["accuracy"] == 0.0


def test_export_replaces_a_bundle_and_nothing_else(bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(bundle, tmp_path / "bundle")
    with replacing(tmp_path / "bundle", "face") as folder:
        (folder / "engine.json").write_text("{}")
    assert [p.name for p in tmp_path.iterdir()] == ["bundle"]
    assert [p.name for p in (tmp_path / "bundle").iterdir()] == ["engine.json"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("dear")
    with pytest.raises(ExportError, match="no bundle"), replacing(tmp_path / "mine", "face"):
        pass


def test_export_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "engine.json").write_text("old")

    def fill_the_disk() -> None:
        with replacing(tmp_path / "b", "face") as folder:
            (folder / "engine.json").write_text("half")
            raise OSError(28, "No space left on device")

    with pytest.raises(ExportError, match="No space left"):
        fill_the_disk()
    assert (tmp_path / "b" / "engine.json").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["b"]


def test_export_refuses_a_file_and_a_bundle_of_another_kind(
    bundle: Path, tmp_path: Path, tiny: Path
) -> None:
    (tmp_path / "file").write_text("dear")
    with pytest.raises(ExportError, match="is a file"), replacing(tmp_path / "file", "face"):
        pass
    shutil.copytree(bundle, tmp_path / "bundle")
    with pytest.raises(ExportError, match="of kind face, not policy"):
        write_policy([bundle], tiny, tmp_path / "bundle")


def test_export_that_cannot_be_put_in_place_puts_the_old_one_back(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "engine.json").write_text("old")
    rename = Path.rename

    def stubborn(path: Path, target: Path) -> Path:
        if path.name == "new":
            raise OSError(28, "No space left on device")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", stubborn)
    with pytest.raises(ExportError, match="No space left"), replacing(tmp_path / "b", "face"):
        pass
    assert (tmp_path / "b" / "engine.json").read_text() == "old"


def test_export_compares_onnx_with_torch(bundle: Path) -> None:
    with np.load(bundle / "reference.npz") as file:
        made = {name: file[name] for name in file.files}
    inputs = made.pop("inputs")
    _compare(bundle, inputs, made)
    for name, change in (("evidence", 1), ("embedding", 1), ("embedding", np.nan)):
        with pytest.raises(ExportError, match="differs from torch"):
            _compare(bundle, inputs, {**made, name: made[name] + change})


def test_evaluate_loads_no_torch(bundle: Path, tiny: Path) -> None:
    code = (
        "import sys; from train.cli import main; sys.argv = ['credence-train', 'evaluate', "
        f"{str(bundle)!r}, '--data', {str(tiny / 'faces.csv')!r}, '--json']; sys.modules['torch'] "
        "= None; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=RECIPES
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["n"] == 70
    assert all(
        isinstance(figures[key], float) for key in ("accuracy", "uar", "macro_f1", "weighted_f1")
    )
