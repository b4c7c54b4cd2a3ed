"""The paired benchmark, on made-up people whose voices and faces tell a little each."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="the benchmark needs credence[train]")

from benchmarks.ravdess_au import hearing
from benchmarks.ravdess_au.conditions import PARTLY, SWAPPED, pairs, shown
from benchmarks.ravdess_au.fusing import NOISY, SWAPPING, Answer, Way, deal
from benchmarks.ravdess_au.heads import Known, Names, Said, cross_fitted, met_anew
from benchmarks.ravdess_au.hearing import HEARD, FoldError, network
from benchmarks.ravdess_au.methods import methods
from benchmarks.ravdess_au.saying import Sayings
from benchmarks.ravdess_au.takes import Classes, Floats, read
from benchmarks.ravdess_au.verdicts import Method, Verdicts, verdicts
from engines.fusion import Rule
from engines.opinion import Opinion
from train.data.samples import DataError
from train.recipe import of_fold, read_recipe
from train.run import RunError
from train.views import CLEAN

PEOPLE = np.repeat([f"actor {i:02}" for i in range(18)], 40)
FOLD = np.repeat(np.arange(3), 240)
TRUTH = np.tile(np.arange(8), 90)
NEW = slice(120)
"""Takes of three people that nothing is trained on."""
OLD = slice(120, None)
BAYES = Way(posterior=True, discount=False, rule=Rule.DEMPSTER)


def posterior(seed: int, clearness: float) -> Floats:
    """Return the exact probabilities (N, 8) of classes, of a sign in Gaussian noise."""
    rng = np.random.default_rng(seed)
    seen = clearness * np.eye(8)[TRUTH] + rng.normal(size=(len(TRUTH), 8))
    odds = np.exp(clearness * seen)
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def said(p: Floats) -> Said:
    return Said(Opinion.from_evidence(8 * p), p)


def sayings() -> Sayings:
    clear = zip(HEARD, (2.5, 2.0, 1.0), strict=True)
    voice = {name: said(posterior(i, c)) for i, (name, c) in enumerate(clear)}
    joined = dict.fromkeys([*HEARD, PARTLY, SWAPPED], said(posterior(3, 2.5)))
    return Sayings(voice, said(posterior(9, 2.5)), joined)


@cache
def judged(name: str) -> dict[str, Verdicts]:
    return verdicts(methods(sayings(), TRUTH, PEOPLE)[name], TRUTH, PEOPLE, FOLD)


def test_probabilities_fused_by_dempster_are_bayes_rule() -> None:
    voice, face = posterior(0, 2), posterior(1, 2)
    pair = pairs({name: said(voice) for name in HEARD}, said(face), TRUTH, PEOPLE)[CLEAN]
    bayes = voice * face / (voice * face).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(BAYES.fuse(pair).probability, bayes, atol=1e-4)


def test_a_swapped_face_is_the_same_persons_in_another_emotion() -> None:
    faces = shown(TRUTH, PEOPLE)
    assert (TRUTH[faces[SWAPPED]] != TRUTH).all()
    assert (PEOPLE[faces[SWAPPED]] == PEOPLE).all()
    moved = faces[PARTLY] != np.arange(len(TRUTH))
    assert 0.3 < moved.mean() < 0.5
    assert (faces[PARTLY][moved] == faces[SWAPPED][moved]).all()


def test_half_of_a_mixture_is_clean_and_no_take_is_there_twice() -> None:
    lots = deal(SWAPPING, SWAPPING, np.arange(600))
    assert len(lots[CLEAN]) == 300
    assert sorted(np.concatenate(list(lots.values())).tolist()) == list(range(600))


def features(truth: Classes) -> Floats:
    rng = np.random.default_rng(5)
    return np.asarray(2 * np.eye(8)[truth] + rng.normal(size=(len(truth), 8)))


def known(people: Names, truth: Classes) -> Known:
    return Known(features(truth), truth, people)


def test_what_is_said_of_a_person_does_not_depend_on_their_own_labels() -> None:
    new, truth, people = features(TRUTH)[NEW], TRUTH[NEW], PEOPLE[NEW]
    wrong = np.where(people == people[0], (truth + 3) % 8, truth)
    told, lied = (
        met_anew(known(PEOPLE[OLD], TRUTH[OLD]), {CLEAN: new}, labels, people, [CLEAN])[CLEAN]
        for labels in (truth, wrong)
    )
    own = people == people[0]
    np.testing.assert_array_equal(told.softmax[own], lied.softmax[own])
    np.testing.assert_array_equal(told.opinion.belief[own], lied.opinion.belief[own])
    assert (told.softmax[~own] != lied.softmax[~own]).any()


def test_probabilities_of_new_people_are_calibrated_and_mostly_right() -> None:
    new = cross_fitted(known(PEOPLE[OLD], TRUTH[OLD]), features(TRUTH)[NEW])
    right = new.softmax.argmax(axis=1) == TRUTH[NEW]
    assert right.mean() > 0.6
    assert new.softmax.max(axis=1).mean() == pytest.approx(right.mean(), abs=0.1)


def test_belief_is_right_more_often_than_one_modality_and_in_conflict_than_the_mean() -> None:
    def accuracy(name: str, condition: str) -> float:
        return float((judged(name)[condition].guess == TRUTH).mean())

    fused = accuracy("belief", CLEAN)
    assert fused > accuracy("voice alone", CLEAN) + 0.05
    assert fused > accuracy("action units alone", CLEAN) + 0.05
    assert (
        accuracy("belief, prepared for swapped faces", PARTLY)
        > accuracy("mean probability", PARTLY) + 0.05
    )


def test_in_conflict_less_is_trusted() -> None:
    found = judged("belief, prepared for swapped faces")
    share = {name: v.trusted.mean() for name, v in found.items()}
    assert share[CLEAN] > share[PARTLY] > share[SWAPPED]
    assert found[SWAPPED].conflict.mean() > found[CLEAN].conflict.mean()
    clean = found[CLEAN]
    assert (clean.guess == TRUTH)[clean.trusted].mean() > 0.87


def test_verdicts_on_a_fold_do_not_depend_on_its_own_labels() -> None:
    answers = {CLEAN: Answer.plain(posterior(0, 2.5))}
    lies = np.where(FOLD == 0, (TRUTH + 1) % 8, TRUTH)
    told, lied = (
        verdicts(Method(lambda _: answers, NOISY), truth, PEOPLE, FOLD)[CLEAN]
        for truth in (TRUTH, lies)
    )
    np.testing.assert_array_equal(told.sure[FOLD == 0], lied.sure[FOLD == 0])
    np.testing.assert_array_equal(told.trusted[FOLD == 0], lied.trusted[FOLD == 0])
    assert (told.sure[FOLD == 1] != lied.sure[FOLD == 1]).any()


def test_a_folder_without_takes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="action units"):
        read(tmp_path)


def test_an_unfinished_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="finish it with `credence-train fit`"):
        network(tmp_path / "fold-1", 0)


def test_a_network_that_heard_the_actors_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = of_fold(read_recipe(Path("train/recipes/voice.yaml")), "2/6")
    monkeypatch.setattr(hearing, "read_run", lambda run: (recipe, None, None))
    with pytest.raises(FoldError, match=r"no voice network of fold 1/6; .* --fold 1/6"):
        network(Path("fold-1"), 0)
