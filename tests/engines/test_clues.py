"""Clues are what was measured, where, and compared with how a person usually is."""

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines import clues, examine
from engines.baseline import LEAST_WINDOWS, SMALLEST, Baselines
from engines.clues import Clue
from engines.examine import BANDS
from engines.labels import EMOTIONS, Emotion
from engines.manifest import Modality
from engines.opinion import Opinion
from engines.verdict import UNCERTIFIED
from engines.window import SAMPLE_RATE_HZ, FaceWindow, TextWindow, VoiceWindow, Window
from tests.engines.opinions import answer, one, sure_of

SPAN_S = (1.0, 3.0)


def face(count: int) -> FaceWindow:
    crops = np.random.default_rng(0).integers(0, 256, (count, 48, 48), dtype=np.uint8)
    sizes = np.linspace(100, 110, count, dtype=np.float32)
    turns = np.linspace(-0.1, 0.1, count, dtype=np.float32)
    return FaceWindow(*SPAN_S, crops, sizes, turns, np.linspace(0.7, 0.9, count, dtype=np.float32))


def by_id(found: list[Clue]) -> dict[str, Clue]:
    named = {clue.id: clue for clue in found}
    assert len(named) == len(found)
    return named


def test_a_face_says_what_leads_when_and_where() -> None:
    course: tuple[Emotion, ...] = (*("neutral",) * 3, *("happiness",) * 6)
    rows = sure_of(*course)
    window = face(9)
    parts = examine.parts_of(window)
    assert len(parts) == len(BANDS)
    hidden = [one("happiness"), one("happiness", 1.0), one("neutral")]
    found = by_id(examine.of(window, answer(rows), hidden))
    assert found["face.expression"].value == pytest.approx(100 * 6 / 9, abs=1e-3)
    assert found["face.expression"].emotion == "happiness"
    assert found["face.course"].value > 0.2
    assert (found["face.moment"].start_s, found["face.moment"].end_s) == pytest.approx(
        (1 + 2 / 3, 1 + 4 / 3), abs=2e-3
    )
    assert found["face.second"].value == pytest.approx(100 / 3, abs=1e-3)
    assert found["face.second"].emotion == "neutral"
    assert found["face.upper"].value == 0
    assert 0 < found["face.middle"].value < found["face.lower"].value
    assert found["face.nearing"].value == pytest.approx(10, abs=1e-3)
    assert found["face.mouth"].value == pytest.approx(0.8, abs=1e-3)


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
    parts = examine.parts_of(window)
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
    assert all(text.strip() for text in texts(examine.parts_of(window)))


def test_who_decided_is_whose_absence_changes_most() -> None:
    opinions: dict[Modality, Opinion] = {"face": one("anger", 30), "voice": one("sadness", 3)}
    judgement = UNCERTIFIED.judge(opinions)
    found = by_id(clues.of_trust(judgement, opinions, UNCERTIFIED, {}, SPAN_S))
    assert found["trust.without_face"].value > 0.2 > found["trust.without_voice"].value
    assert found["trust.conflict"].word == "face voice"
    assert found["trust.conflict"].value == pytest.approx(judgement.conflict, abs=5e-4)
    assert found["trust.confidence"].emotion == "anger"
    assert "trust.threshold" not in found
    for kind, own in opinions.items():
        assert found[f"trust.open_{kind}"].value == pytest.approx(own.uncertainty, abs=5e-4)
    nothing = UNCERTIFIED.judge({})
    assert clues.of_trust(nothing, {}, UNCERTIFIED, {}, SPAN_S) == []


def test_who_decided_is_found_by_judging_again() -> None:
    opinions: dict[Modality, Opinion] = {
        "face": one("anger"),
        "voice": one("anger", 9),
        "text": one("fear", 6),
    }

    def shared(kinds: Collection[Modality]) -> float:
        return 0.5 if "face" in kinds and len(kinds) > 1 else 1.0

    judgement = UNCERTIFIED.judge(opinions, shared=shared(opinions))
    found = by_id(clues.of_trust(judgement, opinions, UNCERTIFIED, {}, SPAN_S, shared))
    for left_out in opinions:
        rest = {kind: own for kind, own in opinions.items() if kind != left_out}
        again = UNCERTIFIED.judge(rest, shared=shared(rest))
        drop = judgement.fused.projected[0] - again.fused.projected[EMOTIONS.index("anger")]
        assert EMOTIONS[0] == "anger"
        assert found[f"trust.without_{left_out}"].value == pytest.approx(drop, abs=6e-4)


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
