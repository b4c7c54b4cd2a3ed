"""Which emotion words of a text are meant."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from engines.mentions import FEATURES, fitted, labels_in, mentioned
from train.mentions import logistic, read_texts, write
from train.wheels import WordsError


def words(text: str) -> list[str]:
    return [label.word for label in labels_in(text)]


def test_forms_of_a_word_are_the_word() -> None:
    found, features = mentioned("He seems happy. Happiness fills him, happily!")
    assert found == ["happy"]
    assert features.shape == (1, len(FEATURES))
    assert features[0, FEATURES.index("times")] == pytest.approx(np.log(3))
    assert features[0, FEATURES.index("hedged")] == 1


def test_what_a_text_ends_with_and_calls_a_feeling_is_meant() -> None:
    text = (
        "In the video a man smiles, which may look happy at first. In the audio his voice trembles."
        " He feels sad and disappointed. We can infer a feeling of sadness and disappointment."
    )
    found = labels_in(text)
    assert {label.word for label in found[:2]} == {"sad", "disappointed"}
    assert "happy" not in [label.word for label in found]
    assert [label.confidence for label in found] == sorted(
        (label.confidence for label in found), reverse=True
    )


def test_a_text_without_emotion_words_means_none() -> None:
    assert labels_in("The table is made of wood.") == ()
    assert labels_in("") == ()
    assert words("Anger.") == ["angry"]  # the only one, however little else says so


def test_the_logistic_model_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(3, [1, 2, 5], (300, 3))
    y = (rng.random(300) < 1 / (1 + np.exp(-(x[:, 0] - 0.4 * x[:, 1])))).astype(float)
    slopes, bias = logistic(x, y)
    spread = x.std(axis=0)
    theirs = LogisticRegression(C=1 / 3, tol=1e-10, max_iter=1000).fit((x - x.mean(0)) / spread, y)
    np.testing.assert_allclose(slopes, theirs.coef_[0] / spread, rtol=1e-4)
    assert bias == pytest.approx(theirs.intercept_[0] - slopes @ x.mean(0), rel=1e-4)


def test_a_written_model_is_the_one_that_is_shipped(tmp_path: Path) -> None:
    write(tmp_path / "mentions.json", fitted())
    written = json.loads((tmp_path / "mentions.json").read_text())
    assert written["slopes"] == pytest.approx(dict(zip(FEATURES, fitted().slopes, strict=True)))
    assert (written["bias"], written["threshold"]) == (fitted().bias, fitted().threshold)


def test_texts_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WordsError, match="it needs the columns name and english"):
        read_texts(tmp_path / "none.csv")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(WordsError, match="it needs the columns name and english"):
        read_texts(tmp_path / "other.csv")
