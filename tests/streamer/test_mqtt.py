"""Events reach a real broker: what arrives, and what a quiet network gives."""

import asyncio
import json
import sys
from pathlib import Path

import jsonschema
import pytest
from aiomqtt import Client, Message

from streamer.broker import KEPT_S, Broker
from streamer.event import CONTENT_TYPE
from streamer.sinks.mqtt import MqttSink
from streamer.sinks.outbox import OutboxClosedError
from streamer.state import CameraState
from tests.streamer.broker import Mosquitto, listening, need, running
from tests.streamer.conftest import MakeEvent

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/events.schema.json").read_text())

NODE = """
import asyncio, sys
from streamer.broker import KEPT_S, Broker
from streamer.sinks.mqtt import MqttSink

async def main():
    await MqttSink(Broker("127.0.0.1", int(sys.argv[1])), "lab").run()

asyncio.run(main())
"""


async def test_event_reaches_a_subscriber_byte_for_byte(
    broker: Broker, make_event: MakeEvent
) -> None:
    event = make_event("door")
    sink = MqttSink(broker, "lab")
    topic = f"{broker.prefix}/lab/+/event"
    async with listening(broker, topic, qos=1) as client, running(sink.run()):
        await sink.put(event)
        message = await anext(client.messages)
    assert message.topic.value == f"{broker.prefix}/lab/door/event"
    assert message.payload == event.model_dump_json().encode()
    assert (message.qos, message.retain) == (1, False)
    assert message.properties is not None
    properties = message.properties.json()  # type: ignore[no-untyped-call]
    assert properties == {
        "ContentType": CONTENT_TYPE,
        "PayloadFormatIndicator": 1,
        "MessageExpiryInterval": KEPT_S,
    }
    jsonschema.validate(json.loads(message.payload), SCHEMA)


async def test_state_is_the_last_final_event_and_retained(
    broker: Broker, make_event: MakeEvent
) -> None:
    events = [make_event(n=n, phase=phase) for n, phase in enumerate(["final", "final", "update"])]
    sink = MqttSink(broker, "lab")
    async with running(sink.run()):
        for event in events:
            await sink.put(event)
        await sink.close()
    async with listening(broker, f"{broker.prefix}/lab/door/state") as client:
        message = await anext(client.messages)
    assert message.retain
    assert CameraState.model_validate_json(message.payload) == CameraState.of(events[1])
    assert all(not isinstance(value, dict | list) for value in json.loads(message.payload).values())


async def test_node_and_cameras_are_announced(broker: Broker) -> None:
    sink = MqttSink(broker, "lab")
    async with listening(broker, f"{broker.prefix}/#") as client, running(sink.run()):
        await sink.status("door", online=True)
        seen = [_said(await anext(client.messages)) for _ in range(2)]
    assert seen == [("availability", "online"), ("door/status", "online")]


async def test_close_publishes_everything_and_takes_leave(
    broker: Broker, make_event: MakeEvent
) -> None:
    sink = MqttSink(broker, "lab")
    async with (
        listening(broker, f"{broker.prefix}/lab/door/event") as client,
        running(sink.run()) as run,
    ):
        await sink.status("door", online=True)
        for n in range(300):
            await sink.put(make_event(n=n))
        await sink.close()
        await run
        sequences = [await _sequence(client) for _ in range(300)]
    assert sequences == list(range(300))
    assert sink.waiting == 0
    assert await _retained(broker, "availability") == "offline"
    assert await _retained(broker, "door/status") == "offline"


async def test_closed_sink_takes_no_more(broker: Broker, make_event: MakeEvent) -> None:
    sink = MqttSink(broker, "lab")
    async with running(sink.run()):
        await sink.close()
        with pytest.raises(OutboxClosedError):
            await sink.put(make_event())


async def test_killed_node_is_declared_offline(mosquitto: Mosquitto) -> None:
    broker = mosquitto.start().address
    async with listening(broker, "credence/lab/availability") as client:
        node = await asyncio.create_subprocess_exec(sys.executable, "-c", NODE, str(broker.port))
        online = await anext(client.messages)
        node.kill()
        offline = await anext(client.messages)
        await node.wait()
    assert (_said(online)[1], _said(offline)[1]) == ("online", "offline")


async def test_cancelled_sink_is_declared_offline(broker: Broker) -> None:
    async with listening(broker, f"{broker.prefix}/lab/availability") as client:
        async with running(MqttSink(broker, "lab").run()):
            assert _said(await anext(client.messages))[1] == "online"
        assert _said(await anext(client.messages))[1] == "offline"


async def test_late_last_will_is_contradicted(broker: Broker) -> None:
    topic = f"{broker.prefix}/lab/availability"
    sink = MqttSink(broker, "lab")
    async with listening(broker, topic) as client, running(sink.run()):
        await anext(client.messages)
        # the sink listens once its next message, after its subscription, is through
        await sink.status("door", online=True)
        await _wait_retained(broker, "door/status")
        await client.publish(topic, "offline", qos=1, retain=True)
        assert [_said(await anext(client.messages))[1] for _ in range(2)] == ["offline", "online"]


async def test_mosquitto_sub_sees_events_over_311(
    mosquitto: Mosquitto, make_event: MakeEvent
) -> None:
    need("mosquitto_sub")
    broker, event = mosquitto.start().address, make_event()
    sink = MqttSink(broker, "lab")
    async with running(sink.run()):
        subscriber = await asyncio.create_subprocess_exec(
            *("mosquitto_sub", "-V", "mqttv311", "-h", broker.host, "-p", str(broker.port)),
            *("-q", "1", "-t", "credence/+/+/event", "-t", "credence/+/availability", "-C", "2"),
            stdout=asyncio.subprocess.PIPE,
        )
        assert subscriber.stdout is not None
        assert await subscriber.stdout.readline() == b"online\n"  # it has subscribed
        await sink.put(event)
        assert await subscriber.stdout.readline() == event.model_dump_json().encode() + b"\n"
        await subscriber.wait()


def test_password_is_not_shown() -> None:
    broker = Broker("host", username="ada", password="secret")
    assert "secret" not in f"{broker} {broker!r}"


async def _sequence(client: Client) -> int:
    message = await anext(client.messages)
    return int(json.loads(message.payload)["sequence"])


async def _retained(broker: Broker, leaf: str) -> str:
    async with listening(broker, f"{broker.prefix}/lab/{leaf}") as client:
        message = await anext(client.messages)
    assert message.retain
    return _said(message)[1]


async def _wait_retained(broker: Broker, leaf: str) -> None:
    async with listening(broker, f"{broker.prefix}/lab/{leaf}") as client:
        await anext(client.messages)


def _said(message: Message) -> tuple[str, str]:
    """Return what stands below the node, and the payload."""
    return message.topic.value.partition("/lab/")[2], message.payload.decode()
