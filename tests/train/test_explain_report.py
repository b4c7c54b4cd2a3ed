"""A page of explanations, and the words that texts mean, from the command line."""

import csv
from pathlib import Path

import pytest

from tests.media import write_media
from train.cli import app
from train.explain_report import NoRecordingsError, write_report
from train.mentions import label_texts
from train.open_vocabulary import read_labels


@pytest.mark.timeout(60)
def test_a_page_shows_what_was_judged_and_written(tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    write_media(clips / "a<b.mp4", seconds=2.0)
    (clips / "broken.mp4").write_bytes(b"no video")
    reasons = tmp_path / "reasons.csv"
    with reasons.open("w", newline="") as lines:
        csv.writer(lines).writerows(
            [["name", "english"], ["a<b", "She smiles. <script> A feeling of joy."]]
        )
    path = write_report(tmp_path / "out", clips, reasons, ["faces.model=haar"])
    page = path.read_text()
    assert "a&lt;b.mp4" in page
    assert "&lt;script&gt; A feeling of joy.<br><b>joyful</b>" in page
    assert "<script>" not in page
    assert "broken.mp4: " in page


def test_a_folder_without_recordings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoRecordingsError, match="there is no recording in it"):
        write_report(tmp_path / "out", tmp_path / "none", None, [])


def test_texts_become_words(tmp_path: Path) -> None:
    texts = tmp_path / "texts.csv"
    texts.write_text("name,english\na,He is furious.\nb,A chair.\n")
    label_texts(texts, tmp_path / "words.csv")
    assert read_labels(tmp_path / "words.csv") == {"a": ["furious"], "b": []}


def test_the_commands_are_there() -> None:
    named = {command.callback.__name__ for command in app.registered_commands if command.callback}
    assert {"label_texts", "explain_report", "evaluate_words"} <= named
