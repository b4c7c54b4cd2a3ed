"""What `credence-train evaluate` says of engines and tables, beside scikit-learn and by hand."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics as sk

from engines.engine import BUNDLES, open_engine
from engines.errors import CredenceError
from engines.fusion import Rule
from engines.labels import EMOTIONS
from engines.manifest import PolicyManifest, Threshold, write_manifest
from engines.verdict import PolicyMismatchError
from tests.engines.bundle import write_bundle
from train import cli
from train.evaluate import evaluate, open_judges
from train.report import write_report

WANTED = {
    *("n", "accuracy", "uar", "macro_f1", "weighted_f1", "ece", "nll", "error_auroc", "aurc"),
    *("trusted_precision", "trusted_recall", "trusted_f1", "trust_everything_f1"),
    *("trusted_accuracy", "coverage"),
}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("engine") / "face")


def write_policy(folder: Path, engine: Path, confidence: float | None) -> Path:
    folder.mkdir()
    threshold = Threshold(
        confidence=confidence or 0, target=0.9, delta=0.05, n=100, data="0", basis="paired"
    )
    manifest = PolicyManifest(
        format=1,
        kind="policy",
        name="test",
        engines={"face": open_engine(engine).hash},
        rule=Rule.DEMPSTER,
        reliability={"face": 0.9},
        thresholds={"face": threshold if confidence is not None else None},
        licence="none",
        files={},
    )
    write_manifest(folder, manifest)
    return folder


def test_figures_are_those_of_the_policys_verdicts(
    engine: Path, tiny: Path, tmp_path: Path
) -> None:
    policy = write_policy(tmp_path / "policy", engine, 0.3)
    judges = open_judges([engine, policy])
    with np.load(tiny / "faces.npz") as file:
        judged = [judges.judge({"face": image}) for image in file["images"]]
    # Two of three samples are labelled as they are judged.
    best = np.array([EMOTIONS.index(j.verdict.emotion or "anger") for j in judged])
    truth = (best + (np.arange(70) % 3 == 0)) % 7
    lines = [f"npz:faces.npz#{i},{EMOTIONS[label]}\n" for i, label in enumerate(truth)]
    (tiny / "judged.csv").write_text("path,label\n" + "".join(lines))
    found = evaluate([policy, engine], tiny / "judged.csv")
    sure, right = np.array([j.verdict.confidence for j in judged]), best == truth
    assert 0 < (sure >= 0.3).mean() < 1
    figures = found.figures
    assert figures["accuracy"] == pytest.approx(right.mean())
    assert figures["coverage"] == pytest.approx((sure >= 0.3).mean())
    assert figures["trusted_precision"] == pytest.approx(sk.precision_score(right, sure >= 0.3))
    assert figures["trusted_recall"] == pytest.approx(sk.recall_score(right, sure >= 0.3))
    assert figures["error_auroc"] == pytest.approx(sk.roc_auc_score(right, sure))
    projected = np.stack([j.fused.projected for j in judged])
    assert figures["nll"] == pytest.approx(sk.log_loss(truth, projected, labels=range(7)))
    assert found.policy == judges.policy.hash


@pytest.mark.parametrize("certifies", ["another", "nothing"])
def test_what_nothing_certifies_is_null_and_covers_nothing(
    engine: Path, tiny: Path, tmp_path: Path, certifies: str
) -> None:
    policy = [] if certifies == "another" else [write_policy(tmp_path / "policy", engine, None)]
    found = evaluate([engine, *policy], tiny / "faces.csv")
    names = ("trusted_precision", "trusted_recall", "trusted_f1", "trusted_accuracy")
    assert all(found.figures[name] is None for name in names)
    assert found.figures["coverage"] == 0
    assert (found.policy == "none") == (certifies == "another")


@pytest.mark.timeout(60)
def test_json_holds_what_is_promised_by_group_too(
    engine: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["credence-train", "evaluate", str(engine), "--data", str(tiny / "faces.csv"), "--json"]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert not stopped.value.code
    said = json.loads(capsys.readouterr().out)
    assert said["n"] == 70
    assert all(isinstance(said[name], int | float | None) for name in WANTED)
    assert set(said["per_group"]) == {str(i) for i in range(10)}
    assert set(said["per_group"]["3"]) >= WANTED
    low, high = said["intervals"]["accuracy"]
    assert low <= said["accuracy"] <= high
    assert said["engines"] == {"face": open_engine(engine).hash}


def test_corruption_spoils_its_modality_alike_each_time(engine: Path, tiny: Path) -> None:
    clean, first, second = (
        evaluate([engine], tiny / "faces.csv", corrupt).decisions.confidence
        for corrupt in (None, "dark:0.1", "dark:0.1")
    )
    np.testing.assert_array_equal(first, second)
    assert np.abs(clean - first).max() > 0.01


def test_engines_are_fused_and_an_empty_cell_is_a_missing_modality(
    engine: Path, tiny: Path
) -> None:
    text = BUNDLES / "text"
    (tiny / "two.csv").write_text(
        "face,text,label\nnpz:faces.npz#0,I am so angry,anger\n,I am so angry,anger\n"
        "npz:faces.npz#0,,anger\n"
    )
    judges = open_judges([engine, text])
    with np.load(tiny / "faces.npz") as file:
        image = file["images"][0]
    expected = [
        judges.judge({"face": image, "text": "I am so angry"}),
        judges.judge({"text": "I am so angry"}),
        judges.judge({"face": image}),
    ]
    found = evaluate([engine, text], tiny / "two.csv").decisions
    np.testing.assert_allclose(found.probability, [j.fused.projected for j in expected])
    assert len(set(found.confidence)) == 3


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ("face,label\na,fear\n", "no column text"),
        ("face,text,label\n,,fear\n", "the face and the text is empty"),
        ("face;text;label\na;b;fear\n", "only face;text;label; separate columns by commas"),
        ("face,text,label\na,b,calm\n", "'calm' is not known; use one of anger"),
    ],
)
def test_tables_of_several_modalities_are_checked(
    engine: Path, tmp_path: Path, rows: str, sentence: str
) -> None:
    (tmp_path / "t.csv").write_text(rows)
    with pytest.raises(CredenceError, match=sentence):
        evaluate([engine, BUNDLES / "text"], tmp_path / "t.csv")


def test_one_engine_reads_the_column_of_its_own_name(engine: Path, tiny: Path) -> None:
    (tiny / "own.csv").write_text("face,text,label\nnpz:faces.npz#0,hello,anger\n")
    assert evaluate([engine], tiny / "own.csv").figures["n"] == 1


def test_engines_that_do_not_fit_are_refused_in_a_sentence(
    engine: Path, tiny: Path, tmp_path: Path
) -> None:
    table = tiny / "faces.csv"
    for bundles, corrupt, sentence in (
        ([], None, "no engine is named"),
        ([BUNDLES / "policy"], None, "no engine is named"),
        ([engine, BUNDLES / "face"], None, "both of kind face"),
        ([engine], "noise:10", "corrupts the voice"),
        ([engine], "fog:10", "use one of"),
    ):
        with pytest.raises(CredenceError, match=sentence):
            evaluate(bundles, table, corrupt)
    with pytest.raises(PolicyMismatchError):
        evaluate([engine, BUNDLES / "policy"], table)


def test_shipped_engines_are_judged_by_the_shipped_policy() -> None:
    judges = open_judges([BUNDLES / "voice"])
    assert judges.policy.hash != "none"
    assert open_judges([Path("voice")]).paths == judges.paths


@pytest.mark.timeout(60)
def test_report_holds_the_json_and_pictures(
    engine: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib", reason="pictures need credence[train]")
    monkeypatch.setattr("train.figures.DRAWS", 20)
    folder = tmp_path / "new" / "report"
    words = ("evaluate", str(engine), "--data", str(tiny / "faces.csv"), "--report", str(folder))
    monkeypatch.setattr(sys, "argv", ["credence-train", *words])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert not stopped.value.code
    assert {path.name for path in folder.iterdir()} == {
        "evaluation.json",
        "reliability.png",
        "risk-coverage.png",
        "confusion.png",
    }
    assert json.loads((folder / "evaluation.json").read_text())["n"] == 70


def test_report_without_matplotlib_holds_the_json(
    engine: Path,
    tiny: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delitem(sys.modules, "train.pictures", raising=False)
    monkeypatch.delattr("train.pictures", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib.axes", None)
    write_report(tmp_path, evaluate([engine], tiny / "faces.csv").decisions, {"n": 70})
    assert [path.name for path in tmp_path.iterdir()] == ["evaluation.json"]
    assert "no pictures are drawn without matplotlib" in capsys.readouterr().err


@pytest.mark.timeout(60)
def test_evaluating_loads_neither_torch_nor_matplotlib() -> None:
    code = "import sys, train.recordings; print({'torch', 'matplotlib'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
