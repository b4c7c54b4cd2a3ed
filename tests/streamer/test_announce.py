"""Events: their schema, their identity, and what they say of what is absent."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.labels import EMOTIONS
from engines.manifest import Modality, Threshold
from engines.opinion import Opinion
from engines.verdict import UNCERTIFIED, Policy
from engines.window import FaceWindow, VoiceWindow
from streamer.announce import Announcer
from streamer.event import EmotionEvent
from streamer.flow import Epoch, Judged, Recognised, Window
from tests.streamer.ensembles import ensemble_of

EPOCH = Epoch("abc-0", datetime(2026, 1, 1, tzinfo=UTC), has_video=True, has_audio=True)
SCHEMA = json.loads((Path(__file__).parents[2] / "docs/events.schema.json").read_text())
HAPPY = Opinion.from_evidence([0, 0, 0, 40, 5, 0, 0])
ANGRY = Opinion.from_evidence([30, 1, 0, 0, 2, 0, 0])


def judged(
    opinions: dict[Modality, Opinion], *, start_s: float = 1.0, policy: Policy = UNCERTIFIED
) -> Judged:
    face = FaceWindow(start_s, 3.0, np.zeros((1, 48, 48), np.uint8))
    voice = VoiceWindow(start_s, np.zeros(16_000, np.float32))
    window = Window(EPOCH, "speech", start_s, 3.0, 1, face, voice)
    ensemble = ensemble_of({"face": "f1", "voice": "v1"}, policy)
    absent = {kind: "no_engine" for kind in ("face", "voice", "text") if kind not in opinions}
    return Judged(
        Recognised(window, ensemble, opinions, absent),  # type: ignore[arg-type]
        policy.judge(opinions),
    )


def announcer(**changes: Any) -> Announcer:
    given: dict[str, Any] = {"node": "kitchen", "camera": "door", **changes}
    return Announcer(now=lambda: EPOCH.began, **given)


def test_event_follows_the_published_schema() -> None:
    event = announcer().event(judged({"face": HAPPY, "voice": ANGRY}))
    wire = json.loads(event.model_dump_json())
    jsonschema.Draft202012Validator(SCHEMA).validate(wire)
    assert EmotionEvent.model_validate_json(event.model_dump_json()) == event


def test_schema_refuses_what_is_no_event() -> None:
    wire = json.loads(announcer().event(judged({"face": HAPPY})).model_dump_json())
    for key, value in (("specversion", "2.0"), ("sequence", "7"), ("data", {}), ("extra", 1)):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.Draft202012Validator(SCHEMA).validate({**wire, key: value})


@pytest.mark.parametrize(
    "wrong", [{"confidence": 7}, {"uncertainty": -3}, {"belief": {}}, {"opinions": {}}]
)
def test_schema_refuses_impossible_data(wrong: dict[str, object]) -> None:
    wire = json.loads(announcer().event(judged({"face": HAPPY})).model_dump_json())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(SCHEMA).validate(
            {**wire, "data": {**wire["data"], **wrong}}
        )


@pytest.mark.parametrize("key", ["specversion", "type", "time", "dataschema", "data"])
def test_schema_requires_every_attribute(key: str) -> None:
    wire = json.loads(announcer().event(judged({"face": HAPPY})).model_dump_json())
    del wire[key]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(SCHEMA).validate(wire)


def test_event_repeats_the_guarantee_behind_its_trust() -> None:
    promise = Threshold(
        confidence=0.4, target=0.9, delta=0.05, n=120, data="ab", basis="label-matched"
    )
    policy = replace(UNCERTIFIED, thresholds={"face": promise, "face+voice": None})
    some: tuple[dict[Modality, Opinion], ...] = ({"face": HAPPY}, {"face": HAPPY, "voice": HAPPY})
    wire = [
        json.loads(announcer().event(judged(seen, policy=policy)).model_dump_json())
        for seen in some
    ]
    jsonschema.Draft202012Validator(SCHEMA).validate(wire[0])
    assert wire[0]["data"]["trusted"]
    assert wire[0]["data"]["threshold"] == promise.model_dump()
    assert wire[1]["data"]["threshold"] is None
    assert not wire[1]["data"]["trusted"]


def test_event_says_who_what_and_when() -> None:
    event = announcer().event(judged({"face": HAPPY}))
    assert event.source == "/credence/kitchen/door"
    assert event.time == datetime(2026, 1, 1, 0, 0, 3, tzinfo=UTC)
    assert event.id == f"{event.data.window_id}.final"
    assert event.data.emotion == "happiness"
    assert event.data.person is not None
    assert event.data.person.track == 1
    assert event.data.engines == {"face": "f1", "voice": "v1"}
    assert (event.data.trusted, event.data.reason) == (False, "uncertified")


def test_event_of_absent_modalities_invents_nothing() -> None:
    absent = announcer().event(judged({"face": HAPPY})).data.opinions["voice"]
    assert not absent.present
    assert absent.uncertainty == 1.0
    assert absent.trust == 0.0
    assert set(absent.belief.values()) == {0.0}
    assert absent.reason == "no_engine"


def test_event_says_how_good_the_input_was() -> None:
    each = judged({"face": HAPPY})
    seen = replace(each.recognised, quality={"face": {"size_px": 1 / 3}})
    opinions = announcer().event(replace(each, recognised=seen)).data.opinions
    assert opinions["face"].quality == {"size_px": 0.333333333}
    assert opinions["voice"].quality == {}


def test_event_without_any_evidence_names_no_emotion() -> None:
    data = announcer().event(judged({})).data
    assert (data.emotion, data.confidence, data.trusted) == (None, 0.0, False)
    assert data.reason == "no_evidence"
    assert data.uncertainty == 1.0


def test_event_publishes_the_conflict() -> None:
    agree = announcer().event(judged({"face": HAPPY, "voice": HAPPY})).data
    differ = announcer().event(judged({"face": HAPPY, "voice": ANGRY})).data
    assert agree.conflict == 0.0
    assert differ.conflict > 0.5
    assert differ.uncertainty > agree.uncertainty


evidences = st.lists(st.floats(0, 1e7), min_size=7, max_size=7).map(Opinion.from_evidence)


@given(evidences, evidences)
def test_event_masses_sum_to_one(face: Opinion, voice: Opinion) -> None:
    data = announcer().event(judged({"face": face, "voice": voice})).data
    for belief, uncertainty in (
        (data.belief, data.uncertainty),
        *((o.belief, o.uncertainty) for o in data.opinions.values()),
    ):
        assert list(belief) == list(EMOTIONS)
        assert sum(belief.values()) + uncertainty == pytest.approx(1, abs=1e-6)


def test_event_ids_are_the_same_again_and_differ_by_what_matters() -> None:
    same = [announcer().event(judged({"face": HAPPY})).id for _ in range(2)]
    others = [
        announcer(camera="yard").event(judged({"face": HAPPY})).id,
        announcer(node="hall").event(judged({"face": HAPPY})).id,
        announcer().event(judged({"face": HAPPY}, policy=replace(UNCERTIFIED, hash="p1"))).id,
        announcer().event(judged({"face": HAPPY}, start_s=1.5)).id,
    ]
    assert same[0] == same[1]
    assert len({same[0], *others}) == 5


def test_event_sequence_counts_and_sorts_as_text() -> None:
    maker = announcer()
    numbers = [maker.event(judged({"face": HAPPY})).sequence for _ in range(11)]
    assert numbers == sorted(numbers)
    assert [int(n) for n in numbers] == list(range(11))


def test_event_source_is_a_uri_whatever_the_name() -> None:
    event = announcer(camera="Küche 2").event(judged({"face": HAPPY}))
    assert event.source == "/credence/kitchen/K%C3%BCche%202"
    assert event.data.camera == "Küche 2"
