# ruff: noqa: E402, imports follow the skip
"""From a CSV to an engine, with a network of a few hundred weights."""

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
from engines.errors import CredenceError
from engines.manifest import BrokenBundleError, read_manifest
from engines.verdict import Reason, open_policy
from engines.verify import verify
from train.bundle import ExportError, replacing
from train.evaluate import decide, evaluate
from train.export import _compare, export
from train.fit import fit
from train.models import build
from train.policy import write_policy
from train.prepare import balance, read_part
from train.recipe import Recipe, RecipeError, parse_recipe, read_recipe
from train.run import RunError, read_run

# The fixtures train and export once; torch's exporter alone needs seconds to find its operators.
pytestmark = pytest.mark.timeout(10, func_only=True)

RECIPES = Path(__file__).parents[2] / "train" / "recipes"


def recipe(**changes: object) -> Recipe:
    content: dict[str, object] = {
        "kind": "face",
        "name": "tiny",
        "data": ["faces.csv"],
        "licence": "CC0-1.0",
        "network": {"stem": 4, "widths": [8, 16], "strides": [2, 2], "dropout": 0.1},
        "augment": {"shift_px": 2, "light": 0.1},
        "optimise": {"epochs": 8, "batch": 8, "rate": 0.01, "mixup": 0.1, "average": 0.9},
    }
    return parse_recipe({**content, **changes}, Path("tiny.yaml"))


@pytest.fixture(scope="module")
def run(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    fit(recipe(), tiny, folder, device="cpu")
    return folder


@pytest.fixture(scope="module")
def bundle(run: Path) -> Path:
    export(run, run.parent / "bundle")
    return run.parent / "bundle"


def test_fit_learns(run: Path) -> None:
    _, results, _ = read_run(run)
    assert results.metrics["faces.csv"]["n"] == 14
    assert (results.metrics["faces.csv"]["accuracy"] or 0) >= 0.7
    assert list(run.glob("events.*"))


def test_fit_resumed_is_fit_in_one_go(tiny: Path, tmp_path: Path) -> None:
    how = recipe(optimise={"epochs": 2, "batch": 16, "rate": 0.01, "mixup": 0.2, "average": 0.9})
    fit(how, tiny, tmp_path / "whole", device="cpu")
    fit(how, tiny, tmp_path / "halved", device="cpu", stop_after=1)
    with pytest.raises(RunError, match="no finished run"):
        read_run(tmp_path / "halved")
    fit(how, tiny, tmp_path / "halved", device="cpu")
    whole, halved = (read_run(tmp_path / name) for name in ("whole", "halved"))
    assert whole[1] == halved[1]
    for name, weights in whole[2].state_dict().items():
        assert torch.equal(weights, halved[2].state_dict()[name]), name


def test_fit_refuses_the_run_of_another_recipe(run: Path, tiny: Path) -> None:
    with pytest.raises(RunError, match="another recipe"):
        fit(recipe(seed=2), tiny, run)


def test_a_damaged_run_is_a_sentence(run: Path, tiny: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "results.json").write_text("{}")
    with pytest.raises(RunError, match=r"results\.json is damaged"):
        export(tmp_path / "run", tmp_path / "bundle")
    (tmp_path / "run" / "checkpoint.pt").write_bytes(b"PK")
    with pytest.raises(RunError, match=r"checkpoint\.pt is damaged"):
        fit(recipe(), tiny, tmp_path / "run", device="cpu")


def test_an_untrained_network_is_not_exported(run: Path, tiny: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "checkpoint.pt").unlink()
    with pytest.raises(RunError, match="no finished run"):
        export(tmp_path / "run", tmp_path / "bundle")
    fit(recipe(), tiny, tmp_path / "run", device="cpu", stop_after=1)
    assert not (tmp_path / "run" / "results.json").exists()


@pytest.mark.parametrize("text", ["", "{", "{}", "[" * 100_000])
def test_a_damaged_recipe_of_a_run_is_a_sentence(tiny: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "recipe.json").write_text(text)
    with pytest.raises(RunError, match=r"recipe\.json is damaged"):
        fit(recipe(), tiny, tmp_path, device="cpu")


@pytest.mark.parametrize("device", ["meta", "cpu:1", "abacus"])
def test_fit_names_the_devices_there_are(tiny: Path, tmp_path: Path, device: str) -> None:
    with pytest.raises(CredenceError, match="use cpu, cuda"):
        fit(recipe(), tiny, tmp_path, device=device)


def test_two_tables_of_one_name_keep_their_own_figures(tiny: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        shutil.copytree(tiny, tmp_path / name)
    names = ["a/faces.csv", "b/faces.csv"]
    how = recipe(data=names, optimise={"epochs": 1, "batch": 64, "rate": 0.01})
    fit(how, tmp_path, tmp_path / "run", device="cpu")
    assert list(read_run(tmp_path / "run")[1].metrics) == names


def test_fit_leaves_no_half_checkpoint(
    monkeypatch: pytest.MonkeyPatch, tiny: Path, tmp_path: Path
) -> None:
    write = Path.write_bytes

    def fill_the_disk(path: Path, content: bytes) -> int:
        if path.name == "checkpoint.pt.tmp":
            write(path, content[:9])
            raise OSError(28, "No space left on device")
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", fill_the_disk)
    with pytest.raises(RunError, match="No space left"):
        fit(recipe(), tiny, tmp_path, device="cpu")
    assert not list(tmp_path.glob("checkpoint*"))


def test_fit_says_when_the_loss_is_lost(tiny: Path, tmp_path: Path) -> None:
    how = recipe(optimise={"epochs": 3, "batch": 8, "rate": 1e30})
    with pytest.raises(CredenceError, match=r"lower optimise\.rate"):
        fit(how, tiny, tmp_path / "run", device="cpu")


def test_recipe_names_a_corpus_of_its_kind(tiny: Path) -> None:
    with pytest.raises(RecipeError, match="no face corpus; use ferplus or a"):
        read_part(recipe(), "ravdess", tiny, "train")


def test_balance_lifts_rare_classes_and_keeps_the_mean() -> None:
    targets = np.eye(7, dtype=np.float32)[[0] * 8 + [1] * 2]
    weight = balance(targets, 0.5)
    assert weight[1] / weight[0] == pytest.approx(2.0)
    assert (weight * targets).sum(axis=1).mean() == pytest.approx(1.0)
    np.testing.assert_allclose(balance(targets, 0.0)[:2], 1.0)


@pytest.mark.parametrize(("kind", "most"), [("face", 900_000), ("voice", 600_000)])
def test_shipped_networks_are_small(kind: str, most: int) -> None:
    network = build(read_recipe(RECIPES / f"{kind}.yaml")).eval()
    assert sum(p.numel() for p in network.parameters()) <= most


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
        for there, here in zip(program(torch.from_numpy(rows)), engine.runtime(rows), strict=True):
            np.testing.assert_allclose(here, there.detach().numpy(), rtol=1e-3, atol=1e-3)


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


def test_export_refuses_a_file_and_a_bundle_of_another_kind(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("dear")
    with pytest.raises(ExportError, match="is a file"), replacing(tmp_path / "file", "face"):
        pass
    shutil.copytree(bundle, tmp_path / "bundle")
    with pytest.raises(ExportError, match="of kind face, not policy"):
        write_policy([bundle], tmp_path / "bundle")


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
        inputs, evidence, embedding = file["inputs"], file["evidence"], file["embedding"]
    _compare(bundle, inputs, evidence, embedding)
    for spoilt in (
        (evidence + 1, embedding),
        (evidence, embedding + 1),
        (evidence, embedding * np.nan),
    ):
        with pytest.raises(ExportError, match="differs from torch"):
            _compare(bundle, inputs, *spoilt)


def test_policy_refuses_two_of_a_kind_and_engines_without_figures(
    bundle: Path, tmp_path: Path
) -> None:
    with pytest.raises(ExportError, match="same kind"):
        write_policy([bundle, bundle], tmp_path / "policy")
    shutil.copytree(bundle, tmp_path / "bundle")
    manifest = json.loads((bundle / "engine.json").read_text())
    manifest["training"]["metrics"] = {}
    (tmp_path / "bundle" / "engine.json").write_text(json.dumps(manifest))
    with pytest.raises(BrokenBundleError, match="no figures"):
        write_policy([tmp_path / "bundle"], tmp_path / "policy")


def test_policy_certifies_nothing(bundle: Path, tmp_path: Path, tiny: Path) -> None:
    write_policy([bundle], tmp_path / "policy")
    engine = open_engine(bundle)
    policy = open_policy(tmp_path / "policy", {"face": engine.hash})
    accuracy = engine.manifest.training.metrics["faces.csv"]["accuracy"]
    assert accuracy is not None
    assert policy.reliability["face"] == pytest.approx(accuracy, abs=1e-4)
    inputs = np.load(tiny / "faces.npz")["images"]
    from train.prepare import window

    verdict = policy.judge({"face": engine.judge(window("face", inputs[0]))}).verdict
    assert verdict.reason is Reason.UNCERTIFIED
    with pytest.raises(BrokenBundleError):
        write_policy([tmp_path / "policy"], tmp_path / "other")
    assert read_manifest(tmp_path / "policy")[0].licence == "face: CC0-1.0"


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
