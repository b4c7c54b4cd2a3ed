"""Metrics of emotion words, against scikit-learn and against what was published."""

import csv
import json
from pathlib import Path

import numpy as np
import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import precision_score, recall_score
from sklearn.preprocessing import MultiLabelBinarizer

from train.open_vocabulary import compare, grouped, on_wheels, read_groups, read_labels
from train.wheels import WordsError, read_wheels

WORDS = ["sad", "low", "glad", "angry", "calm", "tired"]

clips = st.lists(
    st.tuples(st.sets(st.sampled_from(WORDS), min_size=1), st.sets(st.sampled_from(WORDS))),
    min_size=1,
    max_size=8,
)


def write(path: Path, rows: dict[str, list[str]]) -> Path:
    with path.open("w", newline="") as lines:
        out = csv.writer(lines)
        out.writerow(["name", "openset"])
        out.writerows([name, repr(words)] for name, words in rows.items())
    return path


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """Two wheels, the forms of a word, and its synonyms."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    sheets: dict[str, list[list[str | None]]] = {
        "wheel1": [["Sad", "Low", "Blue"], [None, None, " Tired "], ["Glad", "Merry", None]],
        "wheel2": [["Down", "Sad", "Low"], ["Up", "Glad", "Jolly"], [None, "Calm", None]],
        "synonym": [["Merry", "cheery, Gay"], ["Blue", "gloomy"]],
    }
    for name, rows in sheets.items():
        book = openpyxl.Workbook()
        sheet = book.worksheets[0]
        sheet.append(["a", "b", "c"])
        for row in rows:
            sheet.append(list(row))
        book.save(folder / f"{name}.xlsx")
    (folder / "format.csv").write_text('name,format\nsad,"sad,sadly,sadness"\nglad,"gladly"\n')
    return folder


@given(clips)
def test_without_groups_it_is_precision_and_recall(pairs: list[tuple[set[str], set[str]]]) -> None:
    binary = MultiLabelBinarizer(classes=WORDS)
    true, said = (binary.fit_transform([pair[n] for pair in pairs]) for n in (0, 1))
    found = grouped(
        {str(n): sorted(pair[0]) for n, pair in enumerate(pairs)},
        {str(n): sorted(pair[1]) for n, pair in enumerate(pairs)},
    )
    for ours, theirs in ((found.accuracy, precision_score), (found.recall, recall_score)):
        np.testing.assert_allclose(ours, theirs(true, said, average="samples", zero_division=0))


def test_words_of_one_group_are_one() -> None:
    groups = {"a": [["sad", "low"], ["angry"]]}
    found = grouped({"a": ["sad", "angry"]}, {"a": ["low", "glad"]}, groups)
    assert (found.accuracy, found.recall, found.average) == (0.5, 0.5, 0.5)


def test_a_clip_without_prediction_counts_nothing() -> None:
    found = grouped({"a": ["sad"], "b": ["glad"]}, {"a": ["sad"]})
    assert (found.accuracy, found.recall, found.f) == (0.5, 0.5, 0.5)


def test_words_find_their_sector_by_form_and_synonym(wheels: Path) -> None:
    first, second = read_wheels(wheels)
    words = ["sad", "sadness", "gloomy", "tired", "cheery", "gladly", "stone"]
    assert [first.sector(word) for word in words] == ["sad"] * 4 + ["glad", "glad", None]
    assert [second.sector(word) for word in words[:2]] == ["down", "down"]
    assert second.sector("tired") is None


def test_wheels_score_sectors_and_count_what_is_on_none(wheels: Path) -> None:
    score = on_wheels(
        {"a": ["sadness", "calm"], "b": ["gladly"]},
        {"a": ["low"], "b": ["sad", "stone", "stone age"]},
        read_wheels(wheels),
    )
    # Wheel 1: {sad} beside {sad}, {glad} beside {sad}; wheel 2: {down, up} beside {down}, ….
    assert score.agreement.accuracy == pytest.approx(0.5)
    assert score.agreement.recall == pytest.approx((0.5 + 0.25) / 2)
    assert score.agreement.f == pytest.approx(2 * 0.5 * 0.375 / 0.875)
    assert score.unknown == {"stone": 1, "stone age": 1}


def test_lists_are_read_as_lists(tmp_path: Path) -> None:
    path = tmp_path / "words.csv"
    path.write_text(
        'name,openset\na,"[\'Sad,  and low\', ""don\'t know"", \'sad, and low\']"\nb,[]\n'
    )
    assert read_labels(path) == {"a": ["sad, and low", "don't know"], "b": []}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("name,openset\na,sad\n", "line 2: openset is no list of words"),
        ("name,openset\na,['sad']\na,['low']\n", "line 3: clip a was there before"),
        ("name,words\na,['sad']\n", "it needs the columns name and openset"),
        ("", "it needs the columns name and openset"),
        ("name,openset\na,\"__import__('os')\"\n", "line 2: openset is no list of words"),
    ],
)
def test_labels_that_are_none_are_refused(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "words.csv"
    path.write_text(text)
    with pytest.raises(WordsError, match=problem):
        read_labels(path)


def test_what_does_not_fit_the_truth_is_refused(tmp_path: Path) -> None:
    truth, said = write(tmp_path / "t.csv", {"a": ["sad"]}), write(tmp_path / "p.csv", {"b": []})
    with pytest.raises(WordsError, match="the truth has no clip b"):
        compare(truth, said, None, None)
    groups = tmp_path / "groups.json"
    groups.write_text(json.dumps({"b": []}))
    with pytest.raises(WordsError, match="clip a has none"):
        compare(truth, truth, groups, None)
    groups.write_text("[1]")
    with pytest.raises(WordsError, match="it needs an object of lists"):
        read_groups(groups)
    with pytest.raises(WordsError, match="no clip has a word"):
        grouped({"a": []}, {"a": []})


def test_wheels_that_are_none_are_refused(wheels: Path, tmp_path: Path) -> None:
    with pytest.raises(WordsError, match="there is no wheel"):
        read_wheels(tmp_path)
    (wheels / "wheel2.xlsx").write_text("no workbook")
    with pytest.raises(WordsError, match=r"wheel2\.xlsx: it cannot be read as a workbook"):
        read_wheels(wheels)
    (wheels / "format.csv").write_text("a,b\n1,2\n")
    with pytest.raises(WordsError, match="it needs the columns name and format"):
        read_wheels(wheels)


def test_the_published_figures_come_out(corpora: Path) -> None:
    folder = corpora / "emer"
    found = compare(
        folder / "mer2024/check-openset.csv",
        folder / "mer2024/predict-openset.csv",
        folder / "mer2024/synonym_groups.json",
        folder / "wheel",
    )
    assert found.sets.accuracy == pytest.approx(0.5817771, abs=1e-7)
    assert found.sets.recall == pytest.approx(0.4977912, abs=1e-7)
    assert found.sets.average == pytest.approx(0.5397841, abs=1e-7)
    assert found.clips == 332
    assert found.wheel
    assert 0 < len(found.wheel.unknown) < 200
