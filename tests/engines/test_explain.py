"""Explanations and labels say what was measured, and nothing else."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.clues import LEANINGS, Clue, Source
from engines.examine import BANDS
from engines.explain import Explanation, explain
from engines.labels import EMOTIONS, Emotion
from engines.lexicon import PLAIN, Label, labels, shades
from engines.opinion import Opinion
from engines.verdict import Reason, Verdict
from tests.engines.opinions import one
from train.honesty import unsupported, wrong_numbers

SPAN_S = (1.0, 3.0)


emotions = st.sampled_from(EMOTIONS)
parts = st.floats(-1, 1).map(lambda v: round(v, 3))


@st.composite
def windows(draw: st.DrawFn) -> tuple[Verdict, Opinion, list[Clue]]:
    """Give any verdict with any clues that a window may have."""
    found: list[Clue] = []

    def some(name: str, unit: str = "probability", **more: object) -> None:
        start_s = draw(st.floats(0, 1e5).map(lambda v: round(v, 3)))
        source = name.split(".", maxsplit=1)[0]
        value = draw(st.floats(0, 100) if unit == "%" else parts)
        span_s = (start_s, start_s + draw(st.floats(0, 30)))
        found.append(Clue(name, source, round(value, 3), unit, *span_s, **more))  # type: ignore[arg-type]

    verdict_emotion = draw(emotions)
    if draw(st.booleans()):
        seen = draw(emotions)
        some("face.expression", "%", emotion=seen)
        for name in ("course", "moment", *BANDS):
            if draw(st.booleans()):
                some(f"face.{name}", emotion=seen)
        if draw(st.booleans()):
            some("face.second", "%", emotion=draw(emotions))
    if draw(st.booleans()):
        heard = draw(emotions)
        some("voice.sound", emotion=heard)
        some("voice.moment", emotion=heard)
        for name in LEANINGS:
            some(name, "x", z=draw(st.none() | st.floats(-5, 5).map(lambda v: round(v, 2))))
    if draw(st.booleans()):
        said = draw(emotions)
        some("text.words", emotion=said)
        some("text.word.1", emotion=said, word=draw(st.sampled_from(["", "great"])))
    present = [kind for kind in ("face", "voice", "text") if any(c.source == kind for c in found)]
    for name in ("confidence", "open"):
        some(f"trust.{name}")
    reason = draw(st.sampled_from([Reason.CERTIFIED, Reason.BELOW_THRESHOLD, Reason.UNCERTIFIED]))
    if reason is not Reason.UNCERTIFIED:
        some("trust.threshold")
    if len(present) > 1:
        some("trust.conflict", word=" ".join(present[:2]))
        for kind in present:
            some(f"trust.without_{kind}")
    found = [
        replace(c, emotion=verdict_emotion, value=abs(c.value) or 0.5)
        if c.id == "trust.confidence"
        else c
        for c in found
    ]
    verdict = Verdict(verdict_emotion, 0.5, reason is Reason.CERTIFIED, reason)
    return verdict, one(verdict_emotion, 3.0), found


@pytest.mark.timeout(120)
@settings(max_examples=1000)
@given(windows())
def test_every_number_and_all_that_is_claimed_was_measured(
    window: tuple[Verdict, Opinion, list[Clue]],
) -> None:
    verdict, fused, found = window
    why = explain(verdict, fused, found)
    assert wrong_numbers(why, found) == []
    assert unsupported(why, found) == []


def test_what_was_not_measured_is_seen() -> None:
    high = Clue("voice.pitch", "voice", 300.0, "Hz", *SPAN_S)
    seen = Clue("face.expression", "face", 80.0, "%", *SPAN_S, emotion="fear")
    cited = (seen.id, high.id, "voice.aura")
    text = "The face looks sad in 81 % of its pictures, but the voice sounds higher (+2.0)."
    named = tuple(Label(word, 0.5) for word in ("afraid", "joyful", "blue"))
    why = Explanation(text, cited, named)
    assert wrong_numbers(why, [seen, high]) == ["81", "+2.0"]
    claimed = ["voice.aura", "sadness", "higher", "but the voice", "joyful", "blue"]
    assert unsupported(why, [seen, high]) == claimed


@settings(max_examples=60)
@given(windows())
def test_labels_are_shades_of_what_is_believed(
    window: tuple[Verdict, Opinion, list[Clue]],
) -> None:
    verdict, fused, found = window
    given_labels = labels(verdict, fused, found)
    assert 1 <= len(given_labels) <= 3
    assert verdict.emotion
    assert given_labels[0].word in PLAIN[verdict.emotion]
    spoken_for = {e for e in EMOTIONS if any(clue.speaks_for(e) for clue in found)}
    for label in given_labels:
        assert any(label.word in PLAIN[e] for e in spoken_for | {verdict.emotion})
    sure = [label.confidence for label in given_labels]
    assert sure == sorted(sure, reverse=True)
    assert all(0 <= each <= 1 for each in sure)


def test_nothing_to_judge_by_is_said() -> None:
    nothing = Verdict(None, 0.0, False, Reason.NO_EVIDENCE)
    why = explain(nothing, Opinion.vacuous(len(EMOTIONS)), [])
    assert (why.text, why.cited, why.labels) == ("There was nothing to judge by.", (), ())


def said(reason: Reason, *found: Clue) -> str:
    verdict = Verdict("happiness", 0.5, reason is Reason.CERTIFIED, reason)
    return explain(verdict, one("happiness"), found).text


def clue(name: str, value: float, emotion: Emotion | None = None, **more: Any) -> Clue:
    source: Source = name.partition(".")[0]  # type: ignore[assignment]
    unit = "%" if name in ("face.expression", "face.second") else "probability"
    return Clue(name, source, value, unit, *SPAN_S, emotion=emotion, **more)


def test_a_confidence_is_told_from_a_threshold() -> None:
    sure, least = clue("trust.confidence", 0.758, "happiness"), clue("trust.threshold", 0.762)
    assert said(Reason.BELOW_THRESHOLD, sure, least) == (
        "Not trusted as happy: 0.758 stays below the certified 0.762."
    )


def test_a_short_text_is_one_sentence_and_a_long_one_several() -> None:
    sure = clue("trust.confidence", 0.5, "happiness")
    looks, sounds = clue("face.expression", 80.0, "happiness"), clue("voice.sound", 0.6, "sadness")
    assert said(Reason.UNCERTIFIED, looks, sounds, sure).startswith(
        "The face looks happy in 80 % of its pictures, but the voice sounds sad (0.60). Not trusted"
    )
    lower, up = clue("face.lower", 0.4, "happiness"), clue("face.course", 0.2, "happiness")
    second = clue("face.second", 20.0, "neutral")
    high = replace(clue("voice.pitch", 210.0), z=2.1)
    assert said(Reason.UNCERTIFIED, looks, lower, up, second, sounds, high, sure).startswith(
        "The face looks happy in 80 % of its pictures, most of all around mouth and chin (0.40),"
        " more and more so (0.20), also neutral in 20 %. But the voice sounds sad (0.60), higher"
        " (+2.1) than this person usually sounds. Not trusted"
    )


def test_who_looks_and_sounds_alike_does_not_disagree() -> None:
    sure = clue("trust.confidence", 0.5, "happiness")
    conflict = clue("trust.conflict", 0.4, word="face voice")
    looks, sounds = (
        clue("face.expression", 80.0, "happiness"),
        clue("voice.sound", 0.5, "happiness"),
    )
    found = said(Reason.UNCERTIFIED, looks, sounds, conflict, sure)
    assert "and the voice, too, sounds happy (0.50)." in found
    assert "disagree" not in found
    other = replace(sounds, emotion="sadness")
    assert "The face and the voice disagree (0.40);" in said(
        Reason.UNCERTIFIED, looks, other, conflict, sure
    )


def test_an_emotion_that_leads_in_no_picture_leads_over_all() -> None:
    sure, looks = (
        clue("trust.confidence", 0.5, "happiness"),
        clue("face.expression", 0.0, "happiness"),
    )
    found = said(Reason.UNCERTIFIED, looks, clue("face.second", 50.0, "sadness"), sure)
    assert found.startswith("Over all its pictures the face looks happy, also sad in 50 %.")


def test_a_voice_of_which_little_is_believed_contradicts_nothing() -> None:
    sure = clue("trust.confidence", 0.5, "happiness")
    looks = clue("face.expression", 80.0, "happiness")
    weak, words = clue("voice.sound", 0.3, "sadness"), clue("text.words", 0.6, "happiness")
    assert said(Reason.UNCERTIFIED, looks, weak, words, sure).startswith(
        "The face looks happy in 80 % of its pictures. The voice tells little: at most it sounds"
        " sad (0.30). The words confirm it: they sound happy (0.60). Not trusted"
    )


def test_words_of_which_little_is_believed_tell_little() -> None:
    sure, looks = (
        clue("trust.confidence", 0.5, "happiness"),
        clue("face.expression", 80.0, "happiness"),
    )
    weak = clue("text.words", 0.3, "sadness")
    word = clue("text.word.1", 0.2, "sadness", word="rain")
    found = said(Reason.UNCERTIFIED, looks, weak, word, sure)
    assert "The words tell little: at most they sound sad (0.30). Not" in found
    neutral = replace(weak, value=0.8, emotion="neutral")
    assert "The words do not confirm it: they sound neutral (0.80)." in said(
        Reason.UNCERTIFIED, looks, neutral, sure
    )


def test_a_label_needs_a_clue_and_follows_what_else_is_believed() -> None:
    verdict = Verdict("neutral", 0.5, False, Reason.UNCERTIFIED)
    evidence = np.zeros(len(EMOTIONS))
    evidence[EMOTIONS.index("neutral")], evidence[EMOTIONS.index("sadness")] = 10.0, 6.0
    fused = Opinion.from_evidence(evidence)
    assert [each.word for each in labels(verdict, fused, [])] == ["neutral", "calm"]
    sad = clue("text.words", 0.6, "sadness")
    assert "melancholy" in [each.word for each in labels(verdict, fused, [sad])]


def test_the_lexicon_is_sound() -> None:
    known = {shade.word: shade for shade in shades()}
    assert len(known) == len(shades())
    for shade in shades():
        assert -1 <= shade.valence <= 1
        assert 0 <= shade.intensity <= 1
    for emotion, words in PLAIN.items():
        assert all(known[word].emotion == emotion for word in words)
