"""Words while they are said: soon out, replaced by the final ones, and in nobody's way."""

import asyncio
import json
import wave
from collections.abc import AsyncIterator
from itertools import repeat
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from pydantic import SecretStr

from engines.window import VoiceWindow
from streamer.broker import Broker
from streamer.clip import read_sound
from streamer.config import Camera, Config, Engines, Faces, Transcript
from streamer.event import Transcript as Words
from streamer.flow import Listening, Speaking, Utterance
from streamer.node import open_node
from streamer.running import Waiting
from streamer.sinks.mqtt import MqttSink
from streamer.spoken import Spoken
from streamer.transcribe import Heard, Transcriber, tell_partials
from tests.media import DATA, SMALL_WHISPER
from tests.streamer.broker import listening, running
from tests.streamer.conftest import MakeEvent
from tests.streamer.test_transcribe import EPOCH, Listener, heard, voice

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/transcripts.schema.json").read_text())
TAKES = DATA / "voice" / "ravdess"
WORDS = heard("number 1")


def valid(payload: object) -> dict[str, Any]:
    assert isinstance(payload, bytes)
    found: dict[str, Any] = json.loads(payload)
    jsonschema.Draft202012Validator(SCHEMA).validate(found)
    return found


async def told(listener: Listener, *items: Heard) -> tuple[list[Words], Transcriber]:
    """Pass items on, release the listener, and return what is told of partials."""
    found: list[Words] = []
    transcriber = Transcriber(listener, 5, drafts=True)

    async def stream() -> AsyncIterator[Heard]:
        for item in items:
            yield item
        if any(isinstance(item, Speaking) for item in items):
            await asyncio.to_thread(listener.started.wait, 5)
        listener.may.set()
        drafts = [task for task in asyncio.all_tasks() if task.get_name() == "whisper draft"]
        await asyncio.gather(*drafts)
        await asyncio.sleep(0)  # for who waits for them

    passed = [
        item
        async for item in tell_partials(
            stream(), transcriber, lambda _epoch, _speaking, words: found.append(words)
        )
    ]
    assert passed == list(items)
    transcriber.close()
    return found, transcriber


async def test_what_is_being_said_is_told() -> None:
    found, _ = await told(Listener(), EPOCH, Speaking(voice(1)), Listening(3, 1))
    assert found == [WORDS]


async def test_nothing_is_told_of_what_has_ended() -> None:
    said = Utterance(1, 2, voice(1).pcm)
    found, _ = await told(Listener(), EPOCH, Speaking(voice(1)), said)
    assert found == []


async def test_only_one_draft_is_made_at_a_time() -> None:
    found, transcriber = await told(
        Listener(), EPOCH, Speaking(voice(1)), Speaking(voice(1)), Speaking(voice(1))
    )
    assert found == [WORDS]
    assert transcriber.dropped == 2


async def test_a_window_does_not_wait_for_a_draft() -> None:
    class Slow(Listener):
        def hear(self, voice: VoiceWindow, *, draft: bool = False) -> Any:
            return super().hear(voice) if draft else WORDS

    listener = Slow()
    transcriber = Transcriber(listener, 5, drafts=True)
    draft = transcriber.draft(voice(1))
    await asyncio.to_thread(listener.started.wait, 5)
    assert await transcriber.hear(voice(1)) == WORDS
    assert draft is not None
    assert not draft.done()
    listener.may.set()
    await draft
    transcriber.close()


async def test_there_is_no_draft_while_a_window_is_heard() -> None:
    listener = Listener()
    transcriber = Transcriber(listener, 5, drafts=True)
    window = transcriber.hear(voice(1))
    assert transcriber.draft(voice(2)) is None
    assert transcriber.dropped == 1
    listener.may.set()
    await window
    transcriber.close()


def spoken(camera: str = "door", text: str = "it was") -> Spoken:
    return Spoken(
        **dict(heard(text)),
        camera=camera,
        phase="partial",
        window_id=None,
        start_s=0,
        end_s=2,
        time=EPOCH.began,
    )


async def test_partials_and_finals_are_published_and_not_retained(
    broker: Broker, make_event: MakeEvent
) -> None:
    sink = MqttSink(broker, "lab")
    topic = broker.topic("lab", "door", "transcript")
    event = make_event(transcript=heard("it was nothing"))
    status = broker.topic("lab", "door", "status")
    async with listening(broker, topic, status) as client, running(sink.run()):
        sink.partial(spoken(text="said before the broker was there"))
        await sink.status("door", online=True)
        assert (await anext(client.messages)).payload == b"online"
        sink.partial(spoken())
        partial = valid((await anext(client.messages)).payload)
        await sink.put(make_event(n=1))  # says nothing
        await sink.put(event)
        final = valid((await anext(client.messages)).payload)
        await sink.close()
    assert (partial["phase"], partial["text"], partial["window_id"]) == ("partial", "it was", None)
    assert (final["phase"], final["text"]) == ("final", "it was nothing")
    assert final["window_id"] == event.data.window_id
    assert final["time"] == json.loads(event.model_dump_json())["time"]
    async with listening(broker, topic, broker.topic("lab", "availability")) as client:
        first = await anext(client.messages)
    assert str(first.topic).endswith("availability")


def talk(path: Path) -> Path:
    """Two sentences without a rest between them: longer than two seconds."""
    takes = [read_sound(TAKES / f"03-01-05-02-0{n}-01-19.flac") for n in (1, 2)]
    loud = [np.flatnonzero(np.abs(take) > 500) for take in takes]
    said = [take[at[0] : at[-1]] for take, at in zip(takes, loud, strict=True)]
    rest = np.zeros(16_000, np.int16)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(np.concatenate([rest, *said, rest]).tobytes())
    return path


@pytest.mark.timeout(60)
@pytest.mark.skipif(not TAKES.is_dir(), reason=f"no RAVDESS in {DATA}; set CREDENCE_DATA")
@pytest.mark.parametrize("publish", [pytest.param(True, marks=pytest.mark.alone), False])
async def test_a_camera_says_what_is_said(broker: Broker, tmp_path: Path, publish: bool) -> None:
    path = talk(tmp_path / "talk.wav")
    config = Config(
        node="attic",
        cameras=(Camera(name="door", url=SecretStr(str(path))),),
        faces=Faces(model="haar"),
        engines=Engines(face="none", voice="none", policy="none"),
        transcript=Transcript(model=str(SMALL_WHISPER), publish=publish, partials=True, threads=1),
    )
    node = await asyncio.to_thread(open_node, config)
    node.waiting = Waiting(lambda: repeat(0.1))
    async with listening(broker, broker.topic("attic", "#")) as client:
        await node.run(None, MqttSink(broker, "attic"))
        messages: dict[str, list[Any]] = {}
        while messages.get("availability") != [b"online", b"offline"]:
            message = await anext(client.messages)
            kind = str(message.topic).split("/")[-1]
            messages.setdefault(kind, []).append(message.payload)
    final = json.loads(messages["event"][-1])["data"]
    assert final["phase"] == "final"
    if not publish:
        assert "transcript" not in messages
        assert b"by the door" not in b"".join(p for group in messages.values() for p in group)
        return
    *partial, last = map(valid, messages["transcript"])
    assert {each["phase"] for each in partial} == {"partial"}
    assert partial[0]["text"].startswith("Kids are")
    assert last["phase"] == "final"
    assert last["text"] == final["transcript"]["text"]
    assert last["words"] == final["transcript"]["words"]
    assert last["window_id"] == final["window_id"]
    for each in partial:
        assert each["start_s"] == last["start_s"]
        assert each["end_s"] <= last["end_s"] + 0.5  # the silence after it is cut off
