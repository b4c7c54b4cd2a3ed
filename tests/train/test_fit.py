# ruff: noqa: E402, imports follow the skip
"""From a CSV to an engine, with a network of a few hundred weights."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs credence[train]")
pytest.importorskip("onnxscript", reason="export needs credence[train]")
pytest.importorskip("torch._dynamo")  # seconds to load, so not while a test's clock runs
torch.set_num_threads(1)

from engines.engine import open_engine
from engines.errors import CredenceError
from engines.labels import EMOTIONS
from engines.verify import verify
from tests.train.tiny import recipe
from train import measure, prepare
from train.data.samples import DataError
from train.density import gaussians
from train.export import export
from train.fit import fit
from train.models import build
from train.models.edl import Edl
from train.prepare import balance, read_part
from train.recipe import CalibratedHead, RecipeError, read_recipe
from train.run import RunError, read_run

# The fixtures train and export once; torch's exporter alone needs seconds to find its operators.
pytestmark = pytest.mark.timeout(30, func_only=True)

RECIPES = Path(__file__).parents[2] / "train" / "recipes"


def test_fit_learns(run: Path) -> None:
    _, results, _ = read_run(run)
    assert results.metrics["faces.csv"]["n"] == 14
    assert (results.metrics["faces.csv"]["accuracy"] or 0) >= 0.7
    assert list(run.glob("events.*"))


def test_fit_draws_and_measures_trust(run: Path) -> None:
    for picture in ("reliability", "risk", "confusion"):
        assert (run / f"faces.csv-{picture}.png").read_bytes().startswith(b"\x89PNG")
    figures = read_run(run)[1].metrics["faces.csv"]
    for name in ("ece", "nll", "error_auroc", "aurc"):
        assert {name, f"softmax_{name}"} <= figures.keys()


@pytest.mark.timeout(60)
@pytest.mark.parametrize("evidence", ["softplus", "exp"])
def test_fit_trains_evidence_that_exports(tiny: Path, tmp_path: Path, evidence: str) -> None:
    how = recipe(head={"kind": "edl", "evidence": evidence, "trust": 0.2})
    fit(how, tiny, tmp_path / "run", device="cpu")
    _, results, network = read_run(tmp_path / "run")
    assert (results.metrics["faces.csv"]["accuracy"] or 0) >= 0.7
    with torch.inference_mode():
        found, _ = network(torch.zeros(1, 1, 48, 48))
    assert isinstance(network.head, Edl)
    assert found.min() >= 0
    if evidence == "exp":
        export(tmp_path / "run", tmp_path / "bundle")
        assert verify(open_engine(tmp_path / "bundle")).largest_difference < 1e-4
        assert "Head `edl`" in (tmp_path / "bundle" / "MODEL_CARD.md").read_text(encoding="utf-8")


def test_figures_come_from_heads_that_saw_others(run: Path, tiny: Path) -> None:
    held = prepare.held_out(recipe(), tiny)
    rows, rng = len(held[0].rows), np.random.default_rng(0)
    logits = torch.tensor(rng.normal(size=(rows, 7)), dtype=torch.float32)
    heard = [measure.Heard(held[0], logits, torch.randn(rows, 4))]
    folds = measure._folds(heard)
    assert len(set(folds)) == 2
    known = gaussians(rng.normal(size=(50, 4)), np.eye(7)[np.arange(50) % 7])
    (before,) = measure._cross_fitted(CalibratedHead(), heard, known)
    own = folds == 0
    held[0].targets[own] = np.roll(held[0].targets[own], 1, axis=1)
    (after,) = measure._cross_fitted(CalibratedHead(), heard, known)
    np.testing.assert_array_equal(before.confidence[own], after.confidence[own])
    assert (before.confidence[~own] != after.confidence[~own]).any()


def table(folder: Path, tiny: Path, keep: str, split: Callable[[int, str], str]) -> Path:
    """Write tiny's table again, with the split of each row by its number and its emotion."""
    shutil.copy(tiny / "faces.npz", folder)
    lines = ["path,label,group,split"]
    for i in range(70):
        label = EMOTIONS[i % 7]
        if part := split(i, label):
            lines.append(f"npz:faces.npz#{i},{label},{keep.format(i=i // 7, part=part)},{part}")
    (folder / "faces.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_fit_refuses_an_emotion_that_is_held_out_only(tiny: Path, tmp_path: Path) -> None:
    def split(i: int, label: str) -> str:
        return "valid" if i < 14 else "train" if label != "fear" else ""

    with pytest.raises(DataError, match="fear is held out but nowhere trained on"):
        fit(recipe(), table(tmp_path, tiny, "{i}", split), tmp_path / "run", device="cpu")


def test_fit_refuses_to_train_on_one_emotion(tiny: Path, tmp_path: Path) -> None:
    def split(i: int, label: str) -> str:
        return ("valid" if i < 14 else "train") if label == "fear" else ""

    with pytest.raises(DataError, match="one emotion only is trained on"):
        fit(recipe(), table(tmp_path, tiny, "{i}", split), tmp_path / "run", device="cpu")


def test_fit_names_what_it_leaves_out(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(tiny / "faces.npz", tmp_path)
    rows = (tiny / "faces.csv").read_text().splitlines()
    lines = [rows[0], *rows[1:] * 3, "gone.png,fear,0"]
    (tmp_path / "faces.csv").write_text("\n".join(lines) + "\n")
    how = recipe(optimise={"epochs": 1, "batch": 64, "rate": 0.01})
    fit(how, tmp_path, tmp_path / "run", device="cpu", stop_after=1)
    assert "left out: " in (said := capsys.readouterr().out)
    assert "gone.png: is no file" in said


def test_a_first_try_that_failed_leaves_the_run_free(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(CredenceError, match="no such file"):
        fit(recipe(data=["nope.csv"]), tiny, tmp_path / "run", device="cpu")
    how = recipe(optimise={"epochs": 1, "batch": 64, "rate": 0.01})
    fit(how, tiny, tmp_path / "run", device="cpu")


def test_fit_names_an_emotion_that_nobody_shows(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def split(i: int, label: str) -> str:
        return ("valid" if i < 14 else "train") if label != "fear" else ""

    how = recipe(optimise={"epochs": 1, "batch": 8, "rate": 0.01})
    fit(how, table(tmp_path, tiny, "{i}", split), tmp_path / "run", device="cpu")
    assert "nobody shows fear" in capsys.readouterr().out
    assert read_run(tmp_path / "run")[1].n == 12


def test_fit_refuses_one_person_only(tiny: Path, tmp_path: Path) -> None:
    def split(i: int, _: str) -> str:
        return "valid" if i < 14 else "train"

    data = table(tmp_path, tiny, "{part}", split)
    with pytest.raises(DataError, match="one person only is held out"):
        fit(recipe(), data, tmp_path / "run", device="cpu")


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


def test_a_damaged_head_is_a_sentence(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "head.pt").write_bytes(b"PK")
    with pytest.raises(RunError, match=r"head\.pt is damaged"):
        export(tmp_path / "run", tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


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
