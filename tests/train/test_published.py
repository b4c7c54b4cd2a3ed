import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.train.published import SIZES, intensities, m3ed, mosei, mosei_part, write
from train.data.m3ed import LABELS as M3ED_LABELS
from train.data.mosei import LABELS
from train.data.pickles import RefusedPickleError
from train.data.samples import DataError
from train.data.sequences import read_sequences


def test_mosei_reads_as_published(tmp_path: Path) -> None:
    folder = mosei(tmp_path)
    published = pickle.loads((folder / "aligned_50.pkl").read_bytes())
    parts = read_sequences("mosei", tmp_path)
    assert parts.notes == ()
    for name, part in (("train", parts.train), ("valid", parts.valid), ("test", parts.test)):
        assert part.widths == {"text": 768, "audio": 74, "vision": 35}
        assert part.names == tuple(published[name]["id"])
        assert part.labels == LABELS
        np.testing.assert_array_equal(part.targets, intensities(SIZES[name]) > 0)
        batch = part.batch(np.arange(len(part)))
        for modality, rows in batch.items():
            finite = np.nan_to_num(published[name][modality], nan=0, posinf=0, neginf=0)
            np.testing.assert_array_equal(rows, finite.astype(np.float32))
    assert parts.train.batch(np.array([0]))["audio"][0, 3, 5] == 0


def test_rows_beyond_the_length_are_padding(tmp_path: Path) -> None:
    mosei(tmp_path, aligned=False)
    batch = read_sequences("mosei", tmp_path).train.batch(np.arange(SIZES["train"]))
    assert {m: rows.shape[1] for m, rows in batch.items()} == {
        "text": 50,
        "audio": 500,
        "vision": 500,
    }
    assert batch["audio"][0, :30].any(axis=1).all()
    assert not batch["audio"][:, 30:].any()
    assert not batch["audio"][-1].any()
    assert not batch["vision"][-1].any()


def test_samples_without_labels_are_left_out_and_counted(tmp_path: Path) -> None:
    table = mosei(tmp_path) / "label.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join(lines[:1] + lines[3:]))
    parts = read_sequences("mosei", tmp_path)
    assert parts.notes == ("2 of 12 samples of train have no labels and are left out",)
    assert parts.train.names[0] == "train-a$_$2"
    content = pickle.loads((tmp_path / "mosei" / "aligned_50.pkl").read_bytes())["train"]["text"]
    np.testing.assert_array_equal(parts.train.batch(np.array([0]))["text"][0], content[2])


def test_labels_may_be_codes(tmp_path: Path) -> None:
    table = mosei(tmp_path) / "label.csv"
    lines = ["video_id,clip_id,mode,tgt"]
    for name, n in SIZES.items():
        for i in range(n):
            lines.append(f'{name}-a,{i},{name},"[2, {4 + i % 6}, {4 + i * 5 % 6}, 3]"')
    table.write_text("\n".join([*lines[:-1], 'test-a,7,test,"[2, 3]"']))
    parts = read_sequences("mosei", tmp_path)
    np.testing.assert_array_equal(parts.train.targets[:-1], (intensities(12) > 0)[:-1])
    assert not parts.test.targets[-1].any()


def test_a_part_without_a_label_is_noted(tmp_path: Path) -> None:
    table = mosei(tmp_path) / "label.csv"
    table.write_text(re.sub(r"(?m)^((train|valid).*),[\d.]+$", r"\1,0", table.read_text()))
    assert read_sequences("mosei", tmp_path).notes == (
        "nobody shows fear in train",
        "nobody shows fear in valid",
    )


def test_a_pickle_that_runs_something_is_refused(tmp_path: Path) -> None:
    path = mosei(tmp_path) / "aligned_50.pkl"
    path.write_bytes(b"cos\nsystem\n(Vtrue\ntR.")
    with pytest.raises(RefusedPickleError, match=r"holds 'os\.system'"):
        read_sequences("mosei", tmp_path)


def without(key: str) -> Callable[[dict[str, Any]], None]:
    return lambda part: part.pop(key)


def with_(key: str, value: object) -> Callable[[dict[str, Any]], None]:
    return lambda part: part.update({key: value})


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (without("audio"), "audio of valid is missing"),
        (without("id"), "valid has no list of names under id"),
        (with_("id", 5), "valid has no list of names under id"),
        (with_("id", [10**5000] * 9), "valid has no list of names under id"),
        (with_("id", np.array("x")), "valid has 1 ids for 9 samples"),
        (
            with_("id", ["x"] * 9),
            r"no sample of valid has .* called 'x', and a line 'train-a\$_\$0'",
        ),
        (with_("text", np.zeros((9, 50, 300))), "text of valid has rows of 300 numbers inst.* 768"),
        (with_("vision", np.zeros((8, 50, 35))), "valid has .* 9 of text, 9 of audio, 8 of vision"),
        (with_("audio", np.zeros((9, 74))), r"audio of valid has the shape \(9, 74\), not samples"),
        (with_("audio", np.zeros((9, 0, 74))), r"the shape \(9, 0, 74\), not samples"),
        (with_("audio", "loud"), "audio of valid is no array of numbers"),
        (with_("audio", [[1], [2, 3]]), "audio of valid is no array of numbers"),
        (with_("audio", [[[2**5000] * 74]] * 9), "audio of valid is no array of numbers"),
        (with_("audio_lengths", [2**70] * 9), "the lengths of audio of valid are not one number"),
        (with_("audio_lengths", [1] * 8), "the lengths of audio of valid are not one number"),
        (with_("audio_lengths", [-1] * 9), "the lengths of audio of valid are not one number"),
        (with_("audio_lengths", [[1], [2, 3]]), "the lengths of audio of valid are not one number"),
    ],
)
def test_a_faulty_part_is_one_sentence(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], problem: str
) -> None:
    path = mosei(tmp_path) / "aligned_50.pkl"
    rng = np.random.default_rng(0)
    parts = {name: mosei_part(name, n, rng, aligned=True) for name, n in SIZES.items()}
    change(parts["valid"])
    write(path, parts)
    with pytest.raises(DataError, match=problem):
        read_sequences("mosei", tmp_path)


@pytest.mark.parametrize("content", [[1, 2], {"train": {}}, {"train": 1, "valid": 2, "test": 3}])
def test_a_file_without_parts_is_one_sentence(tmp_path: Path, content: object) -> None:
    write(mosei(tmp_path) / "aligned_50.pkl", content)
    with pytest.raises(DataError, match="holds no dict of the parts train, valid, test"):
        read_sequences("mosei", tmp_path)


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ("", "needs the columns video_id, clip_id, and happy, .*, fear or tgt"),
        ("video_id,clip_id,happy\na,1,2", "needs the columns"),
        ("happy,sad,anger,surprise,disgust,fear\n1,0,0,0,0,0", "needs the columns"),
        ("video_id,clip_id,tgt\na,1,exit()", r"line 2: tgt 'exit\(\)' is no list of codes"),
        ('video_id,clip_id,tgt\na,1,"[2, 17, 3]"', "the number 13 is none of 6 labels"),
        (
            "video_id,clip_id,happy,sad,anger,surprise,disgust,fear\na,1,1,1,1,x,1,1",
            "line 2: .* no",
        ),
        ("video_id,clip_id,happy,sad,anger,surprise,disgust,fear\na,1,1,1", "line 2: .* no int"),
        ('video_id,clip_id,tgt\na,1,"[2, 4, 3]"\na,1,"[2, 5, 3]"', r"line 3: a\$_\$1 has other"),
        ("video_id,clip_id,tgt\na", "is no CSV table"),
        ("video_id,clip_id,tgt\n\xff", "is no CSV table in UTF-8"),
    ],
)
def test_a_faulty_table_is_one_sentence(tmp_path: Path, table: str, problem: str) -> None:
    (mosei(tmp_path) / "label.csv").write_text(table, encoding="latin1")
    with pytest.raises(DataError, match=problem):
        read_sequences("mosei", tmp_path)


def test_missing_or_ambiguous_files_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="give --data the folder that holds mosei"):
        read_sequences("mosei", tmp_path)
    folder = mosei(tmp_path)
    (folder / "unaligned_50.pkl").write_bytes(b"")
    with pytest.raises(DataError, match=r"holds aligned_50\.pkl and unaligned_50\.pkl; leave"):
        read_sequences("mosei", tmp_path)
    (folder / "unaligned_50.pkl").unlink()
    (folder / "label.csv").unlink()
    with pytest.raises(DataError, match=r"label\.csv: is not there; the labels lie beside"):
        read_sequences("mosei", tmp_path)


def test_m3ed_reads_as_published(tmp_path: Path) -> None:
    path = m3ed(tmp_path) / "features.pkl"
    published = pickle.loads(path.read_bytes())
    parts = read_sequences("m3ed", tmp_path)
    assert parts.train.labels == M3ED_LABELS
    assert parts.train.widths == {"text": 1024, "audio": 768, "vision": 342}
    assert [len(p) for p in (parts.train, parts.valid, parts.test)] == [*SIZES.values()]
    for part in (parts.train, parts.valid, parts.test):
        batch = part.batch(np.arange(len(part)))
        for i, dialogue in enumerate(part.names):
            labels = published[2][dialogue]
            assert {i for i, shown in enumerate(part.targets[i]) if shown} == set(labels)
            for modality, field in (("text", 3), ("audio", 4), ("vision", 5)):
                rows, n = batch[modality][i], len(labels)
                np.testing.assert_array_equal(rows[:n], np.stack(published[field][dialogue]))
                assert rows.shape[0] == 5
                assert not rows[n:].any()


def packed(n: int, text: int = 12) -> dict[str, Any]:
    """As CARAT packs a part."""
    rng = np.random.default_rng(n)
    return {
        "src-text": [*rng.normal(size=(n, 60, text)).astype(np.float32)],
        "src-audio": [*rng.normal(size=(n, 60, 3)).astype(np.float32)],
        "src-visual": [*rng.normal(size=(n, 60, 5)).astype(np.float32)],
        "len_list": [60] * n,
        "tgt": [[2, 4 + i % 7, 4 + (i + 1) % 7, 3] for i in range(n)],
    }


def test_numbers_of_m3ed_that_do_not_fit_become_nothing(tmp_path: Path) -> None:
    path = m3ed(tmp_path) / "features.pkl"
    content = pickle.loads(path.read_bytes())
    dialogue = content[7][0]
    content[4][dialogue] = [np.full(768, 1e300)] * len(content[2][dialogue])
    write(path, content)
    assert not read_sequences("m3ed", tmp_path).train.batch(np.array([0]))["audio"].any()


def test_m3ed_reads_as_packed(tmp_path: Path) -> None:
    parts = {name: packed(n) for name, n in SIZES.items()}
    write(m3ed(tmp_path) / "features.pkl", parts)
    read = read_sequences("m3ed", tmp_path).test
    np.testing.assert_array_equal(read.batch(np.arange(8))["vision"], parts["test"]["src-visual"])
    np.testing.assert_array_equal(read.targets[0], [1, 1, 0, 0, 0, 0, 0])
    assert read.widths == {"text": 12, "audio": 3, "vision": 5}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (5, "holds neither M3ED's list of ten nor a dict of its parts"),
        ({"train": packed(9)}, "holds neither M3ED's list of ten"),
        ([1, 2, 3], "is not laid out as M3ED's list of ten"),
        ([{}] * 10, "is not laid out as M3ED's list of ten"),
        ({"train": 1, "valid": 1, "test": 1}, "train has no list of labels under tgt"),
        (dict.fromkeys(SIZES, packed(9) | {"tgt": [1] * 9}), "labels under tgt that are no lists"),
        (dict.fromkeys(SIZES, packed(9) | {"tgt": [[2, 99, 3]] * 9}), "the number 95 is none of 7"),
        (
            dict.fromkeys(SIZES, packed(9) | {"tgt": [[2, 10**5000, 3]] * 9}),
            "labels under tgt that are no lists",
        ),
        (dict.fromkeys(SIZES, packed(9) | {"tgt": []}), "train has labels of 0 dialogues out of 9"),
        (
            {"train": packed(9), "valid": packed(9, text=11), "test": packed(9)},
            "text of valid has rows of 11 numbers instead of 12",
        ),
    ],
)
def test_faulty_features_of_m3ed_are_one_sentence(
    tmp_path: Path, content: object, problem: str
) -> None:
    path = m3ed(tmp_path) / "features.pkl"
    write(path, pickle.loads(pickle.dumps(content)))
    with pytest.raises(DataError, match=problem):
        read_sequences("m3ed", tmp_path)


def test_missing_or_several_files_of_m3ed_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="give --data the folder that holds m3ed"):
        read_sequences("m3ed", tmp_path)
    (m3ed(tmp_path) / "more.pkl").write_bytes(b"")
    with pytest.raises(DataError, match="holds 2 pickles; leave the one there that is meant"):
        read_sequences("m3ed", tmp_path)
