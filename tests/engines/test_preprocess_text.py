"""What a text network is given does not depend on casing, quotes or repeated letters."""

import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.preprocess import text
from engines.window import TextWindow


def buckets(said: str) -> np.ndarray:
    return text.tensor(TextWindow(0.0, 1.0, said))


def pieces(said: str) -> np.ndarray:
    return buckets(said).reshape(-1, text.WORDS, text.PIECES)


def test_words_keep_what_speech_has() -> None:
    said = "I’m SOOOOO happy -- thanks!!! Really?\n😂😂 ❤️ :)"
    assert text.words(said) == [
        *("i'm", "soo", "happy", "thanks", "!", "really", "?"),
        *("😂", "❤", "<smile>"),
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Don't go", "don’t go"),
        ("WHAT A DAY", "what a day."),
        ("so, it is -- done", "so it is done"),
        ("ｆｕｌｌ width", "full width"),
        ("cafe\u0301", "café"),
        ("no!!", "NO!"),
        ("yesssss", "yesssssssss"),
    ],
)
def test_tensor_does_not_see_how_it_is_written(one: str, other: str) -> None:
    np.testing.assert_array_equal(buckets(one), buckets(other))


def test_tensor_tells_words_and_their_order_apart() -> None:
    assert not np.array_equal(buckets("man bites dog"), buckets("dog bites man"))
    assert not np.array_equal(buckets("good"), buckets("good?"))


def test_tensor_shape_and_range() -> None:
    rows = buckets("they were happy")
    assert rows.shape == (1, text.WORDS * text.PIECES)
    assert rows.dtype == np.int64
    assert 0 <= rows.min() <= rows.max() < text.BUCKETS
    there = (pieces("they were happy")[0] > 0).sum(axis=1)
    # The pair with the word before, the word, and as many n-grams of 3, 4 and 5 in `<word>`.
    assert there[:4].tolist() == [2 + 4 + 3 + 2, 2 + 4 + 3 + 2, 2 + 5 + 4 + 3, 0]


def test_buckets_stay_what_engines_were_trained_with() -> None:
    assert pieces("Happy birthday!")[0, :3, :4].tolist() == [
        [8320, 26206, 8120, 26602],
        [15967, 17874, 23265, 23676],
        [21510, 9662, 5757, 0],
    ]


def test_buckets_are_the_same_in_another_process() -> None:
    code = "from engines.preprocess import text; print(text.buckets(['glad', 'zoë'])[0].tolist())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(text.buckets(["glad", "zoë"])[0].tolist())


@pytest.mark.parametrize("said", ["", "  \n", "...", "—", "\u200b", "\ufe0f"])
def test_tensor_of_no_words_is_padding(said: str) -> None:
    rows = buckets(said)
    assert rows.shape == (1, text.WORDS * text.PIECES)
    assert (rows == 0).all()


@pytest.mark.parametrize(("count", "rows"), [(1, 1), (48, 1), (49, 2), (96, 2), (1000, 21)])
def test_long_text_is_cut_into_even_rows(count: int, rows: int) -> None:
    cut = pieces("word " * count)
    assert len(cut) == rows
    there = (cut[:, :, 0] > 0).sum(axis=1)
    assert there.sum() == count
    assert (there > 0).all()


def test_endless_word_fits() -> None:
    assert (pieces("a" + "bc" * 5000)[0] > 0).sum() == text.PIECES


@settings(max_examples=100, deadline=None)
@given(st.text())
def test_tensor_survives_any_text(said: str) -> None:
    rows = buckets(said)
    assert rows.shape[0] >= 1
    assert 0 <= rows.min() <= rows.max() < text.BUCKETS
    np.testing.assert_array_equal(rows, buckets(said))


def test_tensor_takes_less_than_a_millisecond() -> None:
    said = "I never thought that we would see this day, but here we are, all of us together."
    buckets(said)
    began = time.perf_counter()
    for _ in range(100):
        buckets(said)
    assert (time.perf_counter() - began) / 100 < 0.001
