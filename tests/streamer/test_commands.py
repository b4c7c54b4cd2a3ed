"""Commands by the broker: obeyed once, answered, and never in the way of events."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import aiomqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from streamer import broker as brokers
from streamer.broker import Broker, RefusedError
from streamer.commands import Commands
from streamer.config import Config, Mqtt
from streamer.ensemble import Panel
from streamer.reload import Reloader
from streamer.roster import Roster
from streamer.sinks.mqtt import MqttSink
from tests.streamer.broker import listening, running
from tests.streamer.conftest import MakeEvent
from tests.streamer.ensembles import ensemble_of


@asynccontextmanager
async def node(broker: Broker, folder: Path | None) -> AsyncIterator[SimpleNamespace]:
    """A node's panel and sink, and who listens to it: all but its cameras."""
    panel, sink = Panel(ensemble_of({"face": "f1", "voice": "v1"})), MqttSink(broker, "lab")
    config = Config()
    reloader = Reloader(config, lambda: config, lambda _: [], cast(Roster, None))
    settings = Mqtt(url=f"mqtt://{broker.address}", swap_from=str(folder or "none"))
    commands = Commands(panel, reloader, asyncio.Event(), None, sink, settings)
    answers, events = broker.topic("lab", "engines", "swapped"), broker.topic("lab", "+", "event")
    async with (
        listening(broker, answers, events, qos=1) as client,
        running(commands.take()),
        running(sink.run()),
    ):
        yield SimpleNamespace(panel=panel, sink=sink, client=client)


async def listens(node: SimpleNamespace, make_event: MakeEvent) -> None:
    """Wait until a sink's first event is through: what it listens to comes before."""
    await node.sink.put(make_event())
    assert str((await anext(node.client.messages)).topic).endswith("/event")


async def answer(client: aiomqtt.Client) -> dict[str, object]:
    message = await anext(client.messages)
    assert isinstance(message.payload, bytes)
    said = json.loads(message.payload)
    assert isinstance(said, dict)
    return said


async def test_a_command_is_answered_whatever_it_says(
    broker: Broker, make_event: MakeEvent, tmp_path: Path
) -> None:
    topic = broker.topic("lab", "engines", "swap")
    async with node(broker, tmp_path) as lab:
        await listens(lab, make_event)
        await lab.client.publish(topic, b"\xff nonsense", qos=1)
        refused = await answer(lab.client)
        await lab.client.publish(topic, b'{"voice": "none"}', qos=1)
        swapped = await answer(lab.client)
    assert (refused["outcome"], swapped["outcome"]) == ("refused", "swapped")
    assert "this cannot be read" in str(refused["sentence"])
    assert swapped["before"] == {"engines": {"face": "f1", "voice": "v1"}, "policy": "none"}
    assert swapped["now"] == {"engines": {"face": "f1"}, "policy": "none"}
    assert set(lab.panel.sitting.engines) == {"face"}


async def test_a_retained_command_is_not_obeyed(
    broker: Broker,
    make_event: MakeEvent,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    topic = broker.topic("lab", "engines", "swap")
    async with listening(broker) as client:
        await client.publish(topic, b'{"face": "none"}', qos=1, retain=True)
    async with node(broker, tmp_path) as lab:
        await listens(lab, make_event)
        await lab.client.publish(topic, b'{"voice": "none"}', qos=1)
        swapped = await answer(lab.client)
        await lab.client.publish(topic, b"", retain=True)
    assert swapped["now"] == {"engines": {"face": "f1"}, "policy": "none"}
    assert "a command by the broker was ignored" in capsys.readouterr().out


async def test_without_a_folder_nothing_is_heard(broker: Broker, make_event: MakeEvent) -> None:
    async with node(broker, None) as lab:
        await listens(lab, make_event)
        await lab.client.publish(broker.topic("lab", "engines", "swap"), b'{"face": "none"}', qos=1)
        await lab.sink.put(make_event(n=1))
        assert str((await anext(lab.client.messages)).topic).endswith("/event")
    assert set(lab.panel.sitting.engines) == {"face", "voice"}


async def test_a_broker_that_lets_nobody_listen_still_gets_events(
    broker: Broker,
    make_event: MakeEvent,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def refuse(_: object, topic: str) -> None:
        code = ReasonCode(PacketTypes.SUBACK, "Not authorized")
        raise RefusedError(f"subscribe to {topic}", code)

    monkeypatch.setattr(brokers.Client, "listen", refuse)
    async with node(broker, tmp_path) as lab:
        async with asyncio.timeout(5):
            await listens(lab, make_event)
    assert "nothing comes by the broker: it does not let this user" in capsys.readouterr().out
