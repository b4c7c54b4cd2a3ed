"""GoEmotions and MELD, and tables of texts."""

import csv
from pathlib import Path

import numpy as np
import pytest

from engines.labels import EMOTIONS
from train.data import goemotions, meld, table
from train.data.samples import DataError


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Give a data folder with a few lines of each corpus."""
    folder = tmp_path / "text" / "goemotions"
    folder.mkdir(parents=True)
    (folder / "ekman_labels.txt").write_text(
        "anger\ndisgust\nfear\njoy\nneutral\nsadness\nsurprise"
    )
    lines = 'She said "no\t0\ta1\nOh, what a day\t3,6\ta2\nIt rains\t4\ta3\n'
    for part in ("train", "dev"):
        (folder / f"ekman_{part}.tsv").write_text(lines, encoding="utf-8")
    (tmp_path / "text" / "meld").mkdir()
    for part in ("train", "dev"):
        (tmp_path / "text" / "meld" / f"{part}_sent_emo.csv").write_text(
            "Sr No.,Utterance,Speaker,Emotion\n"
            '1,"You’re ""great"", Ross",Monica,joy\n'
            "2,Oh…,The Waiter,sadness\n",
            encoding="utf-8",
        )
    return tmp_path


def test_goemotions_spreads_several_labels_evenly(small: Path) -> None:
    samples = goemotions.read(small, "train")
    assert samples.inputs == ('She said "no', "Oh, what a day", "It rains")
    expected = np.zeros((3, 7), np.float32)
    expected[0, EMOTIONS.index("anger")] = 1
    expected[1, [EMOTIONS.index("happiness"), EMOTIONS.index("surprise")]] = 0.5
    expected[2, EMOTIONS.index("neutral")] = 1
    np.testing.assert_array_equal(samples.targets, expected)


def test_goemotions_validates_on_comments_of_one_label(small: Path) -> None:
    assert goemotions.read(small, "valid").inputs == ('She said "no', "It rains")


def test_meld_reads_quotes_and_tells_leads_from_others(small: Path) -> None:
    samples = meld.read(small, "valid")
    assert samples.inputs == ('You’re "great", Ross', "Oh…")
    assert [EMOTIONS[i] for i in samples.targets.argmax(axis=1)] == ["happiness", "sadness"]
    assert samples.strata == ("meld main characters", "meld other characters")


@pytest.mark.parametrize("reader", [goemotions.read, meld.read])
def test_readers_say_where_they_looked(reader: object, tmp_path: Path) -> None:
    assert callable(reader)
    with pytest.raises(DataError, match="--data"):
        reader(tmp_path, "train")


def test_readers_refuse_damaged_files(small: Path) -> None:
    (small / "text" / "goemotions" / "ekman_dev.tsv").write_text("no tab here\n")
    (small / "text" / "meld" / "dev_sent_emo.csv").write_text("Utterance,Emotion\nHm,calm\n")
    for reader in (goemotions.read, meld.read):
        with pytest.raises(DataError, match="holds no"):
            reader(small, "valid")


def test_corpora_are_whole(corpora: Path) -> None:
    comments, said = (reader(corpora, "train") for reader in (goemotions.read, meld.read))
    assert len(comments.inputs) == 43_410
    assert len(said.inputs) == 9_989
    assert len(goemotions.read(corpora, "valid").inputs) == 4_946
    counts = dict(zip(EMOTIONS, said.targets.sum(axis=0), strict=True))
    assert counts["happiness"] == 1743
    assert counts["neutral"] == 4710
    np.testing.assert_allclose(comments.targets.sum(axis=1), 1, atol=1e-6)


def test_table_of_texts_says_the_corpus_again(small: Path, tmp_path: Path) -> None:
    table.write_corpus("meld", small, tmp_path / "meld.csv", "valid")
    with (tmp_path / "meld.csv").open(encoding="utf-8", newline="") as file:
        assert next(csv.reader(file)) == ["text", "label", "group"]
    rows = list(table.open_table(tmp_path / "meld.csv", "text").inputs("text"))
    assert [item for _, item in rows] == list(meld.read(small, "valid").inputs)
    assert [row.label for row, _ in rows] == ["happiness", "sadness"]
    assert [row.group for row, _ in rows] == ["Monica", "The Waiter"]


def test_table_of_texts_needs_a_column_text(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("path,label\na.wav,anger\n")
    with pytest.raises(table.TableError, match="no column text"):
        table.open_table(tmp_path / "t.csv", "text")
    (tmp_path / "t.csv").write_text('text,label\n"  ",anger\n')
    with pytest.raises(table.TableError, match="line 2: the text is empty"):
        table.open_table(tmp_path / "t.csv", "text")
