from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.errors import CredenceError
from train.data import table


def csv(folder: Path, text: str) -> Path:
    path = folder / "my.csv"
    path.write_bytes(text.encode())
    return path


def test_open_table_reads_labels_groups_and_splits(tmp_path: Path) -> None:
    path = csv(
        tmp_path, "\ufeffpath, label, group, split\r\na.png, Happy ,p1,dev\r\nb.png,fear,,\r\n"
    )
    first, second = table.open_table(path, "face").rows
    assert (first.sources["path"], first.label, first.group, first.part) == (
        "a.png",
        "happiness",
        "p1",
        "valid",
    )
    assert (second.label, second.part) == ("fear", None)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is empty"),
        ("\r\n", "is empty|has no column"),
        ("path,label\n", "no rows"),
        ("file,label\na,fear\n", "no column path"),
        ("file,emotion\na,fear\n", "no column path and no column label"),
        ("path,label\na.png,calm\n", "line 2: the label 'calm' is not known; use one of anger"),
        ("path,label\n,fear\n", "line 2: the path is empty"),
        ("path,label,split\na.png,fear,test2\n", "split 'test2'"),
        ("path,label,path\na.png,fear,b.png\n", "column path twice"),
        ("path,label\na.png\n", "the label '' is not known"),
    ],
)
def test_open_table_refuses_in_a_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(table.TableError, match=sentence):
        table.open_table(csv(tmp_path, text), "face")


def test_open_table_refuses_what_is_no_file_or_no_text(tmp_path: Path) -> None:
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00path")
    for name in ("bytes.csv", "none.csv", "."):
        with pytest.raises(table.TableError):
            table.open_table(tmp_path / name, "face")


def test_text_engines_want_a_column_text(tmp_path: Path) -> None:
    with pytest.raises(table.TableError, match="no column text"):
        table.open_table(csv(tmp_path, "path,label\na,fear\n"), "text")


def test_inputs_reads_pictures_relative_to_the_table(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (96, 64, 3)).astype(np.uint8)
    (tmp_path / "faces").mkdir()
    cv2.imwrite(str(tmp_path / "faces" / "ä.png"), picture)
    [(row, face)] = table.open_table(
        csv(tmp_path, "path,label\nfaces/ä.png,fear\n"), "face"
    ).inputs("face")
    assert row.label == "fear"
    assert np.shape(face) == (48, 48)
    assert np.asarray(face).dtype == np.uint8


@pytest.mark.parametrize(
    "source",
    [
        "gone.png",
        "my.csv",
        "npz:faces.npz#70",
        "npz:gone.npz#0",
        "npz:my.csv#0",
        "a\0.png",
        "x" * 999,
        ".",
    ],
)
def test_inputs_names_unreadable_files(tiny: Path, tmp_path: Path, source: str) -> None:
    (tmp_path / "faces.npz").write_bytes((tiny / "faces.npz").read_bytes())
    path = csv(tmp_path, f"path,label\nnpz:faces.npz#0,fear\n{source},fear\n")
    with pytest.raises(table.UnreadableFilesError, match=r"1 of 2 files cannot be read: .*/"):
        list(table.open_table(path, "face").inputs("face"))


def test_inputs_counts_a_few_unreadable_files(tiny: Path) -> None:
    good = "".join(f"npz:faces.npz#{i % 70},fear\n" for i in range(99))
    path = csv(tiny, f"path,label\ngone.png,fear\n{good}")
    whole = table.open_table(path, "face")
    assert len(list(whole.inputs("face"))) == 99
    assert len(whole.unreadable) == 1
    assert "gone.png" in whole.unreadable[0]


def test_read_splits_by_group_and_shares_none(tiny: Path) -> None:
    train = table.read(tiny / "faces.csv", "face", "train")
    valid = table.read(tiny / "faces.csv", "face", "valid")
    assert (len(train.inputs), len(valid.inputs)) == (56, 14)
    assert not set(train.paths) & set(valid.paths)
    assert not set(train.people) & set(valid.people)


def test_read_refuses_a_group_in_both_parts(tiny: Path, tmp_path: Path) -> None:
    path = csv(tmp_path, "path,label,group,split\na.png,fear,ann,train\nb.png,fear,ann,valid\n")
    with pytest.raises(table.TableError, match="'ann' is both"):
        table.read(path, "face", "train")


@pytest.mark.parametrize("missing", [1, 2])
def test_two_unreadable_files_of_a_hundred_are_too_many(tiny: Path, missing: int) -> None:
    sources = ["gone.png"] * missing + [f"npz:faces.npz#{i % 70}" for i in range(100 - missing)]
    path = tiny / "hundred.csv"
    path.write_text("path,label\n" + "".join(f"{source},fear\n" for source in sources))
    whole = table.open_table(path, "face")
    if missing == 1:
        assert len(list(whole.inputs("face"))) == 99
        return
    with pytest.raises(table.UnreadableFilesError, match="2 of 100"):
        list(whole.inputs("face"))


def test_read_follows_the_column_split(tiny: Path) -> None:
    path = tiny / "split.csv"
    path.write_text("path,label,split\nnpz:faces.npz#0,fear,valid\nnpz:faces.npz#1,fear,train\n")
    assert table.read(path, "face", "valid").paths == ("npz:faces.npz#0",)
    path.write_text("path,label,split\nnpz:faces.npz#0,fear,train\n")
    with pytest.raises(table.TableError, match="no row to valid"):
        table.read(path, "face", "valid")


def test_write_corpus_makes_a_table_that_can_be_read(some_voices: Path, tmp_path: Path) -> None:
    table.write_corpus("emodb", some_voices, tmp_path / "emodb.csv", "valid")
    rows = table.open_table(tmp_path / "emodb.csv", "voice")
    _, pcm = next(rows.inputs("voice"))
    assert rows.rows
    assert len(pcm) == 32_000


def test_write_corpus_refuses_an_unknown_one(tmp_path: Path) -> None:
    with pytest.raises(CredenceError, match="use one of ferplus, ravdess, emodb"):
        table.write_corpus("iemocap", tmp_path, tmp_path / "a.csv", "valid")
