from pathlib import Path

import numpy as np
import pytest

from train.data.sequences import Sequences, UnknownSequencesError, read_sequences


def sequences() -> Sequences:
    rng = np.random.default_rng(0)
    return Sequences(
        {
            "voice": rng.normal(size=(4, 5, 3)).astype(np.float32),
            "text": rng.normal(size=(2, 7, 2)).astype(np.float32),
        },
        {"voice": np.array([3, 1, 0, 2]), "text": np.array([0, -1, -1, 1])},
        np.eye(4, 2, dtype=np.float32),
        ("joy", "fear"),
        ("a", "b", "c", "d"),
    )


def test_a_batch_holds_each_samples_sequence_and_zeros_where_there_is_none() -> None:
    corpus = sequences()
    batch = corpus.batch(np.array([3, 1]))
    assert {m: of.shape for m, of in batch.items()} == {"voice": (2, 5, 3), "text": (2, 7, 2)}
    assert {m: of.dtype for m, of in batch.items()} == {"voice": np.float32, "text": np.float32}
    np.testing.assert_array_equal(batch["voice"], corpus.pools["voice"][[2, 1]])
    np.testing.assert_array_equal(batch["text"][0], corpus.pools["text"][1])
    assert not batch["text"][1].any()


def test_a_batch_of_an_empty_pool_is_zeros() -> None:
    whole = sequences()
    absent = Sequences(
        {"text": np.zeros((0, 7, 2), np.float32)},
        {"text": np.full(4, -1)},
        whole.targets,
        whole.labels,
        whole.names,
    )
    batch = absent.batch(np.arange(4))["text"]
    assert batch.shape == (4, 7, 2)
    assert not batch.any()


def test_a_batch_is_a_copy() -> None:
    corpus = sequences()
    corpus.batch(np.arange(4))["voice"][:] = 0
    assert corpus.pools["voice"].any()


def test_taking_some_keeps_each_samples_own() -> None:
    corpus = sequences()
    some = corpus.take(np.array([2, 0]))
    assert (len(some), some.names, some.widths) == (2, ("c", "a"), {"voice": 3, "text": 2})
    np.testing.assert_array_equal(some.targets, corpus.targets[[2, 0]])
    np.testing.assert_array_equal(
        some.batch(np.array([0, 1]))["voice"], corpus.batch(np.array([2, 0]))["voice"]
    )


def test_an_unknown_corpus_names_the_known_ones() -> None:
    with pytest.raises(UnknownSequencesError, match="use one of matched, mosei, m3ed"):
        read_sequences("iemocap", Path())
