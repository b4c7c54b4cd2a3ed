"""Explanations by a language model, from media to subscribers, as a user runs it."""

import asyncio
import json
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from prometheus_client import generate_latest

from streamer.broker import KEPT_S, Broker
from streamer.config import LanguageModel as Settings
from streamer.event import CONTENT_TYPE
from streamer.explanation import ExplanationEvent
from streamer.grounding import Question
from streamer.language_model import LanguageModel
from streamer.narrator import Narrator
from streamer.sinks.mqtt import MqttSink
from streamer.sinks.newest import WAITING
from streamer.topics import EXPLANATION
from tests.media import DATA, SMALL_WHISPER
from tests.streamer.broker import free_port, listening, running
from tests.streamer.chat import KEY, MODEL, ChatServer, Reply, as_measured, serving
from tests.streamer.events import BEGAN
from tests.streamer.explained import explained_event
from tests.streamer.test_node import Events, node_of
from tests.streamer.test_replay import credence

ROOT = Path(__file__).parents[2]
TAKE = DATA / "voice" / "ravdess" / "03-01-05-02-01-01-19.flac"
EVENTS = json.loads((ROOT / "docs/events.schema.json").read_text())
EXPLANATIONS = json.loads((ROOT / "docs/explanations.schema.json").read_text())


@pytest.fixture
def chat() -> Iterator[ChatServer]:
    with serving(as_measured) as server:
        yield server


def narrator(url: str) -> Narrator:
    """One that does not leave an endpoint in trouble alone."""
    model = LanguageModel(Settings(url=url, model=MODEL))
    return Narrator(model, 8, delays=lambda: repeat(0.0))


def explanation(n: int = 0) -> ExplanationEvent:
    asked = Question.about(explained_event(n=n))
    assert asked is not None
    said = {"text": "As measured.", "cited": ["voice.sound"], "labels": ["happy"]}
    return asked.checked(json.dumps(said), MODEL, BEGAN)


def tell(sink: MqttSink, n: int = 0) -> None:
    sink.once(explanation(n).model_dump_json().encode(), EXPLANATION, "door", "explanation")


def told(stdout: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the final events by id, and the explanations."""
    lines = [json.loads(line) for line in stdout.splitlines()]
    later = [line for line in lines if line["type"] == "credence.explanation.v1"]
    events = [line for line in lines if line not in later]
    for each in later:
        jsonschema.Draft202012Validator(EXPLANATIONS).validate(each)
    for each in events:
        jsonschema.Draft202012Validator(EVENTS).validate(each)
    return {each["id"]: each["data"] for each in events if each["data"]["phase"] == "final"}, later


@pytest.mark.timeout(60)
def test_a_replay_explains_every_final_event(clip: Path, chat: ChatServer) -> None:
    to = f"language_model={{url: {chat.url}, model: {MODEL}, api_key: {KEY}, waiting: 1}}"
    done = credence("replay", clip, "--set", "faces.model=haar", "--set", to)
    assert done.returncode == 0, done.stderr
    finals, later = told(done.stdout)
    asked = {name for name, data in finals.items() if data["emotion"]}
    assert asked
    assert {each["data"]["explains"] for each in later} == asked
    for each in later:
        event = finals[each["data"]["explains"]]
        assert each["data"]["window_id"] == event["window_id"]
        assert set(each["data"]["cited"]) <= {clue["id"] for clue in event["explanation"]["clues"]}
    assert f"accepted={len(asked)}" in done.stderr
    assert KEY not in done.stdout + done.stderr
    assert "transcript" not in json.dumps(chat.asked)


@pytest.mark.timeout(60)
def test_a_replay_is_the_same_where_nobody_answers(short_clip: Path) -> None:
    to = f"language_model={{url: 'http://127.0.0.1:{free_port()}/v1', model: {MODEL}}}"
    without = credence("replay", short_clip, "--set", "faces.model=haar")
    done = credence("replay", short_clip, "--set", "faces.model=haar", "--set", to)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("nobody answers there") == 1
    finals, later = told(done.stdout)
    assert (finals, later) == (told(without.stdout)[0], [])


@pytest.mark.skipif(not TAKE.is_file(), reason=f"no RAVDESS in {DATA}; set CREDENCE_DATA")
@pytest.mark.timeout(60)
@pytest.mark.parametrize("publish", [False, True])
def test_words_are_sent_only_where_they_are_published(chat: ChatServer, publish: bool) -> None:
    sets = (
        f"language_model={{url: {chat.url}, model: {MODEL}}}",
        f"transcript={{model: {SMALL_WHISPER}, publish: {str(publish).lower()}}}",
    )
    done = credence("replay", TAKE, *(word for each in sets for word in ("--set", each)))
    assert done.returncode == 0, done.stderr
    (question,) = [json.loads(body["messages"][1]["content"]) for body in chat.asked]
    assert any(clue["id"] == "text.words" for clue in question["clues"])
    heard = "said" in question, "talking" in json.dumps(question)
    assert heard == (publish, publish)


@pytest.mark.timeout(60)
async def test_a_node_counts_what_comes_of_asking(short_clip: Path, chat: ChatServer) -> None:
    replies = iter([Reply(status=500)])
    chat.answer = lambda body: next(replies, None) or as_measured(body)
    node, events = await node_of(door=str(short_clip)), Events()
    node.narrator = await asyncio.to_thread(narrator, chat.url)
    page = generate_latest(node.metrics._registry).decode()
    assert "credence_explanations_total{" not in page
    await node.run(events, None)
    reading = await asyncio.to_thread(node.metrics.reading)
    counted = reading.by("result", "credence_explanations_total", camera="door")
    assert counted["refused"] == 1
    assert counted["accepted"] == len(events.explanations) > 0
    assert counted["dropped"] == counted["inconsistent"] == 0


async def test_an_explanation_reaches_a_subscriber_byte_for_byte(broker: Broker) -> None:
    sink = MqttSink(broker, "lab")
    topic = f"{broker.prefix}/lab/door/explanation"
    async with listening(broker, topic, qos=1) as client, running(sink.run()):
        tell(sink)
        message = await anext(client.messages)
    assert message.payload == explanation().model_dump_json().encode()
    assert (message.qos, message.retain) == (1, False)
    assert message.properties is not None
    properties = message.properties.json()  # type: ignore[no-untyped-call]
    assert properties["ContentType"] == CONTENT_TYPE
    assert properties["MessageExpiryInterval"] == KEPT_S


async def test_the_newest_wait_for_a_broker_and_are_sent_before_leave(broker: Broker) -> None:
    sink = MqttSink(broker, "lab")
    for n in range(WAITING + 6):
        tell(sink, n)
    seen = []
    async with listening(broker, f"{broker.prefix}/lab/#", qos=1) as client, running(sink.run()):
        await sink.close()
        async for message in client.messages:
            if message.payload == b"offline":
                break
            if str(message.topic).endswith("/explanation"):
                assert isinstance(message.payload, bytes)
                seen.append(ExplanationEvent.model_validate_json(message.payload).data.window_id)
    assert list(dict.fromkeys(seen)) == [f"door{n:06}" for n in range(6, WAITING + 6)]
