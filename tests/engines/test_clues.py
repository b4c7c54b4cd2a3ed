"""Clues, explanations and labels say what was measured, and nothing else."""

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines import clues, examine
from engines.baseline import LEAST_WINDOWS, SMALLEST, Baselines
from engines.clues import LEANINGS, Clue
from engines.engine import Answer
from engines.examine import BANDS
from engines.explain import explain, messages
from engines.fusion import averaging
from engines.labels import EMOTIONS, Emotion
from engines.lexicon import PLAIN, labels, shades
from engines.manifest import Modality
from engines.opinion import Opinion
from engines.verdict import UNCERTIFIED, Reason, Verdict
from engines.window import SAMPLE_RATE_HZ, FaceWindow, TextWindow, VoiceWindow, Window

SPAN_S = (1.0, 3.0)


def sure_of(*emotions: Emotion, strength: float = 20.0) -> Opinion:
    """Return an opinion for each row."""
    evidence = np.zeros((len(emotions), len(EMOTIONS)))
    for row, emotion in zip(evidence, emotions, strict=True):
        row[EMOTIONS.index(emotion)] = strength
    return Opinion.from_evidence(evidence)


def answer(rows: Opinion) -> Answer:
    each = [Opinion(b, u) for b, u in zip(rows.belief, rows.uncertainty, strict=True)]
    return Answer(averaging(each), rows)


def one(emotion: Emotion, strength: float = 20.0) -> Opinion:
    return answer(sure_of(emotion, strength=strength)).opinion


def face(count: int) -> FaceWindow:
    crops = np.random.default_rng(0).integers(0, 256, (count, 48, 48), dtype=np.uint8)
    sizes = np.linspace(100, 110, count, dtype=np.float32)
    return FaceWindow(*SPAN_S, crops, sizes, np.linspace(-0.1, 0.1, count, dtype=np.float32))


def by_id(found: list[Clue]) -> dict[str, Clue]:
    named = {clue.id: clue for clue in found}
    assert len(named) == len(found)
    return named


def test_a_face_says_what_leads_when_and_where() -> None:
    course: tuple[Emotion, ...] = (*("neutral",) * 3, *("happiness",) * 6)
    rows = sure_of(*course)
    window = face(9)
    parts = examine.parts_of(window, answer(rows))
    assert len(parts) == len(BANDS)
    hidden = [one("happiness"), one("happiness", 1.0), one("neutral")]
    found = by_id(examine.of(window, answer(rows), hidden))
    assert found["face.expression"].value == pytest.approx(100 * 6 / 9, abs=1e-3)
    assert found["face.expression"].emotion == "happiness"
    assert found["face.course"].value > 0.2
    assert (found["face.moment"].start_s, found["face.moment"].end_s) == pytest.approx(
        (1 + 2 / 3, 1 + 4 / 3), abs=2e-3
    )
    assert found["face.upper"].value == 0
    assert 0 < found["face.middle"].value < found["face.lower"].value
    assert found["face.nearing"].value == pytest.approx(10, abs=1e-3)


def test_a_band_is_covered_by_the_mean_alone() -> None:
    crops = face(2).crops
    hidden = examine.covered(crops, 1)
    assert (hidden[:, 16:32] == crops.mean(axis=(1, 2)).astype(np.uint8)[:, None, None]).all()
    np.testing.assert_array_equal(hidden[:, :16], crops[:, :16])
    np.testing.assert_array_equal(hidden[:, 32:], crops[:, 32:])


def test_a_voice_says_when_it_says_most() -> None:
    pcm = np.random.default_rng(0).normal(0, 0.1, 9 * SAMPLE_RATE_HZ).astype(np.float32)
    window = VoiceWindow(1.0, pcm)
    rows = sure_of("neutral", "sadness", "sadness")
    rows = Opinion.from_evidence(rows.evidence * np.array([[1], [1], [5]]))
    found = by_id(examine.of(window, answer(rows), []))
    assert found["voice.sound"].emotion == "sadness"
    moment = found["voice.moment"]
    assert (moment.start_s, moment.end_s) == pytest.approx((7.0, 10.0), abs=0.03)
    assert found["voice.moment"].value > 0
    assert "voice.pitch" not in found  # of noise


def texts(parts: Sequence[Window]) -> list[str]:
    return [part.text for part in parts if isinstance(part, TextWindow)]


def test_words_say_what_each_of_them_does() -> None:
    window = TextWindow(*SPAN_S, "I am so happy, Anna.")
    parts = examine.parts_of(window, answer(sure_of("happiness")))
    assert texts(parts) == ["I am so Anna.", "I am so happy,"]
    found = by_id(
        examine.of(window, answer(sure_of("happiness")), [one("neutral"), one("happiness")])
    )
    assert (found["text.word.4"].word, found["text.word.5"].word) == ("happy", "anna")
    assert found["text.word.4"].value > 0.5
    assert found["text.word.5"].value == 0


@pytest.mark.parametrize("said", ["Oh!", "no", "I am it", "…"])
def test_nothing_is_left_without_its_only_word(said: str) -> None:
    window = TextWindow(*SPAN_S, said)
    assert all(text.strip() for text in texts(examine.parts_of(window, answer(sure_of("neutral")))))


def test_who_decided_is_whose_absence_changes_most() -> None:
    opinions: dict[Modality, Opinion] = {"face": one("anger", 30), "voice": one("sadness", 3)}
    judgement = UNCERTIFIED.judge(opinions)
    found = by_id(clues.of_trust(judgement, opinions, UNCERTIFIED, {}, SPAN_S))
    assert found["trust.without_face"].value > 0.2 > found["trust.without_voice"].value
    assert found["trust.conflict"].word == "face voice"
    assert found["trust.conflict"].value == pytest.approx(judgement.conflict, abs=5e-4)
    assert found["trust.confidence"].emotion == "anger"
    assert "trust.threshold" not in found
    nothing = UNCERTIFIED.judge({})
    assert clues.of_trust(nothing, {}, UNCERTIFIED, {}, SPAN_S) == []


def pitch(value: float) -> list[Clue]:
    return [Clue("voice.pitch", "voice", value, "Hz", *SPAN_S)]


def test_nobody_is_compared_before_it_is_known_how_they_are() -> None:
    usual = Baselines()
    for n in range(LEAST_WINDOWS):
        (clue,) = usual.compared(1, pitch(300))
        assert clue.z is None
        usual.learn(1, pitch(200 + n % 2))
    (clue,) = usual.compared(1, pitch(240))
    assert clue.z == pytest.approx((240 - 200.4) / SMALLEST["voice.pitch"], abs=0.01)
    (other,) = usual.compared(2, pitch(240))
    assert other.z is None


@given(st.lists(st.floats(60, 500), min_size=LEAST_WINDOWS, max_size=60), st.floats(60, 500))
def test_deviations_are_those_of_numpy(values: list[float], value: float) -> None:
    usual = Baselines()
    for each in values:
        usual.learn("a", pitch(each))
    (clue,) = usual.compared("a", pitch(value))
    expected = (value - float(np.mean(values))) / max(
        float(np.std(values)), SMALLEST["voice.pitch"]
    )
    assert clue.z == pytest.approx(float(np.clip(expected, -5, 5)), abs=0.006)


def test_a_clue_speaks_for_what_studies_found() -> None:
    (high,) = pitch(300)
    assert replace(high, z=2.0).speaks_for("anger") is True
    assert replace(high, z=2.0).speaks_for("sadness") is False
    assert replace(high, z=-2.0).speaks_for("sadness") is True
    assert replace(high, z=0.5).speaks_for("anger") is None
    assert high.speaks_for("anger") is None
    seen = Clue("face.expression", "face", 80.0, "%", *SPAN_S, emotion="fear")
    assert seen.speaks_for("fear") is True
    assert seen.speaks_for("anger") is False
    waning = replace(seen, id="face.course", value=-0.3)
    assert waning.speaks_for("fear") is False
    assert waning.speaks_for("anger") is None
    assert replace(waning, value=0.0).speaks_for("fear") is None


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
        replace(c, emotion=verdict_emotion) if c.id == "trust.confidence" else c for c in found
    ]
    verdict = Verdict(verdict_emotion, 0.5, reason is Reason.CERTIFIED, reason)
    return verdict, one(verdict_emotion, 3.0), found


@settings(max_examples=60)
@given(windows())
def test_every_number_is_that_of_a_cited_clue(
    window: tuple[Verdict, Opinion, list[Clue]],
) -> None:
    verdict, fused, found = window
    why = explain(verdict, fused, found)
    cited = [clue for clue in found if clue.id in why.cited]
    assert {clue.id for clue in cited} == set(why.cited)
    known = [v for c in cited for v in (c.value, c.start_s, c.end_s, c.z) if v is not None]
    for number in re.findall(r"[-+]?\d+(?:\.\d+)?", why.text):
        digits = len(number.partition(".")[2])
        assert any(abs(float(number) - v) <= 0.5 * 10**-digits + 1e-9 for v in known), number


@settings(max_examples=60)
@given(windows())
def test_nothing_is_claimed_that_no_cited_clue_says(
    window: tuple[Verdict, Opinion, list[Clue]],
) -> None:
    verdict, fused, found = window
    why = explain(verdict, fused, found)
    cited = [clue for clue in found if clue.id in why.cited]
    phrases, text = messages("en"), why.text.lower()
    named = {clue.emotion for clue in cited}
    for emotion in EMOTIONS:
        if re.search(rf"\b{phrases[emotion]}\b", text):
            assert emotion in named
    for name in LEANINGS:
        for sign, way in ((1, "up"), (-1, "down")):
            if re.search(rf"\b{phrases[f'{name}.{way}'].split(' (')[0]} \(", text):
                assert any(c.id == name and c.z is not None and sign * c.z >= 1 for c in cited)
    seen = {clue.source: clue.emotion for clue in cited if clue.emotion}
    others = {seen[source] for source in ("face", "voice") if source in seen}
    if "the words confirm" in text:
        assert others == {seen["text"]}
    if "the words contradict" in text:
        assert others
        assert seen["text"] not in others
    for source in ("face", "voice"):
        if f"the words side with the {source}" in text:
            assert len(others) > 1
            assert seen["text"] == seen[source]


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
    sure = [label.confidence for label in given_labels]
    assert sure == sorted(sure, reverse=True)
    assert all(0 <= each <= 1 for each in sure)


def test_nothing_to_judge_by_is_said() -> None:
    nothing = Verdict(None, 0.0, False, Reason.NO_EVIDENCE)
    why = explain(nothing, Opinion.vacuous(len(EMOTIONS)), [])
    assert (why.text, why.cited, why.labels) == ("There was nothing to judge by.", (), ())


def test_the_lexicon_is_sound() -> None:
    known = {shade.word: shade for shade in shades()}
    assert len(known) == len(shades())
    for shade in shades():
        assert -1 <= shade.valence <= 1
        assert 0 <= shade.intensity <= 1
    for emotion, words in PLAIN.items():
        assert all(known[word].emotion == emotion for word in words)
