
"""Moments of several emotions: whose set is nearest, what may be missing, what encoders made."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs credence[train]")

from sklearn.metrics import jaccard_score

from engines.engine import open_engine
from engines.labels import EMOTIONS
from engines.manifest import BUNDLES, Modality
from engines.opinion import Opinion
from engines.quality import MEASURES
from engines.verdict import MODALITIES, UNCERTIFIED
from engines.window import FaceWindow
from train.checks import Bools
from train.multilabel import baselines, encode, shown
from train.multilabel.encode import Encoded
from train.multilabel.matched import Moments, Pool, mixed
from train.multilabel.pair import jaccard, pair
from train.multilabel.shown import Shown
from train.multilabel.spoil import CORRUPTIONS, versions, windowed
from train.robustness import corruption
from train.views import CLEAN, Look

SETS: dict[Modality, Bools] = {
    "face": np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1]], dtype=bool),
    "voice": np.array([[1, 0, 0], [1, 0, 0], [0, 1, 1]], dtype=bool),
}


def _moments(n: int) -> Moments:
    """Return moments of 20 samples a modality, whose sequences and opinions tell their label."""
    truth = np.arange(20) % 2
    sets = np.zeros((20, len(EMOTIONS)), dtype=bool)
    sets[np.arange(20), truth] = True
    pools = {}
    for kind in MODALITIES:
        entries = np.tile(sets, (7, 1)).astype(np.float32)
        sequences = np.repeat(entries[:, None], 2, axis=1)
        opinion = Opinion.from_evidence(100 * entries)
        look = Look(opinion, {name: np.ones(len(entries)) for name in MEASURES[kind]})
        own = Shown(kind, [""] * 20, sets, ("",) * 20)
        pools[kind] = Pool(own, Encoded(sequences, entries, look))
    wanted, samples = pair(dict.fromkeys(MODALITIES, sets), n, seed=0)
    return Moments(pools, wanted, samples, samples)


def test_jaccard_is_that_of_scikit_learn() -> None:
    sets = np.random.default_rng(0).random((9, 5)) < 0.5
    sets[:, 0] |= ~sets.any(axis=1)
    expected = [[jaccard_score(one, other) for other in sets] for one in sets]
    np.testing.assert_allclose(jaccard(sets, sets), expected)


def test_a_pair_has_the_nearest_samples() -> None:
    wanted, samples = pair(SETS, 300, seed=1)
    for kind, sets in SETS.items():
        alike = jaccard(wanted, sets)
        taken = alike[np.arange(300), samples[kind]]
        np.testing.assert_allclose(taken, alike.max(axis=1))


def test_a_sample_is_taken_again_only_when_all_were() -> None:
    one = np.ones((10, 1), dtype=bool)
    _, samples = pair({"face": one, "voice": one[:3]}, 25, seed=2)
    assert set(Counter(samples["face"].tolist()).values()) == {2, 3}
    assert set(Counter(samples["voice"].tolist()).values()) == {8, 9}


def test_as_many_samples_are_in_trouble_as_asked_for() -> None:
    clean = _moments(4000)
    for kind, entries in clean.spoilt(0.3, seed=3).entries.items():
        rows, own = clean.samples[kind], entries % 20
        assert (entries < 0).mean() == pytest.approx(0.1, abs=0.02)
        assert ((entries >= 20) & (own == rows)).mean() == pytest.approx(0.1, abs=0.02)
        assert ((entries >= 0) & (own != rows)).mean() == pytest.approx(0.1, abs=0.02)


def test_a_swapped_sample_shows_none_of_the_emotions() -> None:
    clean = _moments(400)
    for kind, entries in clean.spoilt(1.0, seed=5, troubles=("swapped",)).entries.items():
        assert not (clean.pools[kind].shown.sets[entries] & clean.sets).any()


def test_something_of_every_moment_stays() -> None:
    entries = _moments(4000).spoilt(1.0, seed=4, troubles=("absent",)).entries
    assert np.any([each >= 0 for each in entries.values()], axis=0).all()


def test_of_mixed_moments_every_other_one_is_clean() -> None:
    clean = _moments(100)
    for kind, entries in mixed(clean).entries.items():
        np.testing.assert_array_equal(entries[::2], clean.samples[kind][::2])
        assert (entries[1::2] != clean.samples[kind][1::2]).any()


def test_absent_samples_are_sequences_of_nothing() -> None:
    clean = _moments(4)
    entries = {**clean.entries, "voice": np.full(4, -1)}
    gone = Moments(clean.pools, clean.sets, clean.samples, entries)
    batch = gone.sequences("moment").batch(np.arange(4))
    assert not batch["voice"].any()
    assert batch["face"].any(axis=(1, 2)).all()
    opinion = baselines.fused(UNCERTIFIED, gone)
    alone = baselines.fused(UNCERTIFIED, clean)
    assert (opinion.uncertainty > alone.uncertainty).all()


@pytest.mark.parametrize("feature", ["sequence", "embedding"])
def test_logistic_regression_finds_what_is_plain(feature: baselines.Feature) -> None:
    clean = _moments(200)
    whole = clean.sets.copy()
    whole[0], whole[1] = True, False  # every label once, and every label not
    train = Moments(clean.pools, whole, clean.samples, clean.entries)
    models = baselines.logistic(train, clean, feature)
    said = baselines.probability(models, clean, feature)
    np.testing.assert_array_equal(said[2:].argmax(axis=1), clean.sets[2:].argmax(axis=1))


def test_a_face_shows_what_two_of_ten_saw(tmp_path: Path) -> None:
    votes = np.zeros((4, 10), dtype=np.uint8)
    votes[0, :3] = 7, 2, 1  # neutral, happiness
    votes[1, [3, 7]] = 3, 7  # sadness; contempt counts for none
    votes[2, [4, 8]] = 5, 5  # anger, as often unknown
    votes[3, :7] = 1
    (tmp_path / "face").mkdir()
    images = np.zeros((4, 48, 48), dtype=np.uint8)
    np.savez(tmp_path / "face" / "ferplus_valid.npz", images=images, votes=votes)
    found = shown.faces(tmp_path, "valid")
    named = [{EMOTIONS[i] for i in np.flatnonzero(own)} for own in found.sets]
    assert named == [{"neutral", "happiness"}, {"sadness"}]


def test_a_voice_of_normal_intensity_is_neutral_too(some_voices: Path) -> None:
    found = shown.voices(some_voices, "valid")
    several = found.sets.sum(axis=1)
    assert set(several.tolist()) == {1, 2}
    assert found.sets[several == 2, EMOTIONS.index("neutral")].all()


def test_comments_keep_all_of_their_labels(corpora: Path) -> None:
    found = shown.texts(corpora, "valid")
    assert len(found.inputs) == 5426
    assert (found.sets.sum(axis=1) > 1).mean() == pytest.approx(0.09, abs=0.01)


def test_a_face_is_seen_as_a_camera_sees_it(corpora: Path) -> None:
    faces = shown.faces(corpora, "valid").take(np.arange(5))
    known = {spec: corruption(spec) for spec in CORRUPTIONS["face"]}
    for version in versions(5, "face", 4, np.random.default_rng(0)):
        seen = windowed("face", faces.inputs[version.sample], version, known)
        assert isinstance(seen, FaceWindow)
        assert seen.crops.shape[1:] == (48, 48)
        assert 1 <= len(seen.crops) <= 8
        assert seen.sizes_px is not None
        assert (seen.sizes_px == (12 if version.spec == "small:12" else 48)).all()


def test_what_encoders_made_is_kept(
    corpora: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    said = shown.texts(corpora, "valid").take(np.arange(3))
    asked = versions(3, "text", 1, np.random.default_rng(0))
    engine = open_engine(BUNDLES / "text")
    first = encode.encode(engine, said, asked, corpora, "test")
    monkeypatch.setattr(encode, "_encode", None)
    again = encode.encode(engine, said, asked, corpora, "test")
    assert [version.spec for version in asked[:3]] == [CLEAN] * 3
    assert first.sequences.shape == (6, encode.LENGTHS["text"], 192)
    np.testing.assert_array_equal(first.sequences, again.sequences)
    np.testing.assert_array_equal(first.look.opinion.belief, again.look.opinion.belief)
    assert first.look.quality.keys() == again.look.quality.keys()
