"""What a user sees of `credence-train` when something is wrong: one sentence, exit code 2."""

import sys
from pathlib import Path

import pytest

from train import cli


def run(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["credence-train", *map(str, words)])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    return int(stopped.value.code or 0)


def test_a_fault_is_one_sentence_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    table = tmp_path / "t.csv"
    table.write_text("path,label\na.png,fear\n")
    for words in (
        ("evaluate", tmp_path, "--data", table),
        ("evaluate", tmp_path / "none", "--data", table),
        ("make-table", "ferplus", "--data", tmp_path, "--output", tmp_path / "o.csv"),
        ("make-table", "nothing", "--data", tmp_path, "--output", tmp_path / "o.csv"),
        ("evaluate", "fase", "--data", table),
        ("policy", tmp_path, "--data", tmp_path, "--output", tmp_path / "p"),
        ("calibrate", tmp_path, "--data", table, "--output", tmp_path / "p"),
    ):
        assert run(monkeypatch, *words) == 2
        said = capsys.readouterr().err
        assert said.startswith("credence-train: ")
        assert said.count("\n") == 1
        assert "Traceback" not in said


def test_an_unknown_corpus_is_not_blamed_on_the_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ("make-table", "foo", "--data", tmp_path, "--output", tmp_path / "o.csv")
    assert run(monkeypatch, *words) == 2
    assert capsys.readouterr().err.startswith("credence-train: 'foo' is no corpus; use one of ")


def test_training_faults_are_sentences_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pytest.importorskip("torch", reason="training needs credence[train]")
    recipe = Path(__file__).parents[2] / "train" / "recipes" / "face.yaml"
    for words in (
        ("fit", tmp_path / "none.yaml", "--data", tmp_path, "--run", tmp_path / "r"),
        ("fit", recipe, "--data", tmp_path, "--run", tmp_path / "r"),
        ("fit", recipe, "--data", tmp_path, "--run", recipe / "r"),
        ("fit", recipe, "--data", tmp_path, "--run", tmp_path / "r", "--device", "abacus"),
        ("export", tmp_path / "none", tmp_path / "b"),
    ):
        assert run(monkeypatch, *words) == 2
        said = capsys.readouterr().err
        assert said.startswith("credence-train: "), said
        assert said.count("\n") == 1


def test_without_torch_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "train"]:
        if name not in {"train", "train.cli"}:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert run(monkeypatch, "fit", "r.yaml", "--data", tmp_path, "--run", tmp_path / "r") == 2
    said = capsys.readouterr().err
    assert "this needs torch; in a clone, pip install -c constraints.txt -e '.[train]'" in said
