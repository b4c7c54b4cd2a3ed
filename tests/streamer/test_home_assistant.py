"""Cameras appear in Home Assistant: what it discovers, and what it is told of trusted verdicts."""

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import aiomqtt
import pytest

from engines.labels import EMOTIONS
from streamer.broker import Broker
from streamer.config import ConfigError, load
from streamer.sinks.home_assistant import HomeAssistant, TrustedEvent, identifier
from streamer.sinks.mqtt import MqttSink
from streamer.state import CameraState
from tests.streamer.broker import listening, running
from tests.streamer.conftest import MakeEvent

OPTIONS = {
    "sensor": {
        *("device_class", "options", "state_class", "unit_of_measurement"),
        *("suggested_display_precision", "json_attributes_topic", "value_template"),
    },
    "binary_sensor": {"device_class", "off_delay", "value_template", "json_attributes_topic"},
    "event": {"event_types", "device_class", "value_template"},
    "switch": {"command_topic", "device_class", "value_template"},
}
"""What Home Assistant's documentation has for each platform, as far as we use it."""
COMMON = {
    *("platform", "name", "unique_id", "default_entity_id", "state_topic", "availability"),
    *("availability_mode", "entity_category"),
}


def home_of(broker: Broker, *cameras: str, switches: bool = False) -> tuple[MqttSink, str]:
    """Return a sink, and the prefix of discovery, which is the test's own."""
    discovery = f"{broker.prefix}-ha"
    sink = MqttSink(broker, "lab", home=HomeAssistant(broker, "lab", discovery, switches=switches))
    for camera in cameras:
        sink.enlist(camera, enabled=True)
    return sink, discovery


async def next_device(client: aiomqtt.Client) -> tuple[str, dict[str, Any] | None, bool]:
    message = await anext(client.messages)
    assert isinstance(message.payload, bytes)
    body = json.loads(message.payload) if message.payload else None
    return message.topic.value, body, message.retain


async def test_a_camera_is_a_device_with_its_entities(broker: Broker) -> None:
    sink, discovery = home_of(broker, "front door", switches=True)
    async with running(sink.run()), listening(broker, f"{discovery}/device/#") as client:
        topic, device, _ = await next_device(client)
    assert device is not None
    own = "_".join(("credence", *broker.prefix.split("/"), "lab"))
    assert topic == f"{discovery}/device/{own}/front-door-7279998f/config"
    assert {"device", "origin", "components"} <= device.keys(), "it is refused without"
    assert device["device"]["name"] == "front door"
    assert device["device"]["identifiers"]
    platforms = {key: part["platform"] for key, part in device["components"].items()}
    assert platforms == {
        "emotion": "sensor",
        "confidence": "sensor",
        "trusted": "binary_sensor",
        "event": "event",
        "connected": "binary_sensor",
        "enabled": "switch",
    }
    for key, entity in device["components"].items():
        assert entity.keys() <= COMMON | OPTIONS[entity["platform"]]
        assert entity["default_entity_id"] == f"{entity['platform']}.front_door_{key}"
    assert device["components"]["event"]["event_types"] == list(EMOTIONS)
    here = f"{broker.prefix}/lab"
    assert [each["topic"] for each in device["availability"]] == [
        f"{here}/availability",
        f"{here}/front door/status",
    ]
    assert device["availability_mode"] == "all"
    switch = device["components"]["enabled"]
    assert (
        switch["command_topic"]
        == f"{switch['state_topic']}/set"
        == f"{here}/front door/enabled/set"
    )
    assert [each["topic"] for each in switch["availability"]] == [f"{here}/availability"]


async def test_without_switches_there_is_none(broker: Broker) -> None:
    (device,) = map(json.loads, HomeAssistant(broker, "lab", "ha").add("door").values())
    assert "enabled" not in device["components"]


async def test_devices_are_said_again_when_home_assistant_comes_up(broker: Broker) -> None:
    sink, discovery = home_of(broker, "door")
    async with running(sink.run()), listening(broker, f"{discovery}/device/#") as client:
        first = await next_device(client)
        for state in ("offline", "online"):
            await client.publish(f"{discovery}/status", state)
        async with asyncio.timeout(5):
            again = await next_device(client)
    assert again[:2] == first[:2]


async def test_a_camera_no_longer_configured_is_removed(broker: Broker) -> None:
    sink, discovery = home_of(broker, "door", "yard")
    async with running(sink.run()):
        await sink.close()
    sink, _ = home_of(broker, "door")
    async with running(sink.run()), listening(broker, f"{discovery}/device/#") as client:
        async with asyncio.timeout(5):
            removed = [topic for topic, body, _ in [await next_device(client)] if body is None]
            while not removed:
                topic, body, _ = await next_device(client)
                removed = [topic] if body is None else []
    assert removed[0].endswith("/yard/config")
    async with listening(broker, f"{discovery}/device/#") as client:
        topic, body, retained = await next_device(client)
        assert (topic.split("/")[-2], retained) == ("door", True)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await next_device(client)


async def test_only_trusted_fresh_finals_are_told(broker: Broker, make_event: MakeEvent) -> None:
    now = datetime.now(UTC)
    old = make_event(n=9)  # made a while ago, and waited for the broker
    verdicts: list[dict[str, Any]] = [
        {"trusted": False, "reason": "below_threshold"},
        {"phase": "update"},
        {"emotion": None},
        {"emotion": "anger", "person": None},
    ]
    fresh = [
        make_event(n=n, **verdict).model_copy(update={"recordedtime": now})
        for n, verdict in enumerate(verdicts)
    ]
    sink, _ = home_of(broker, "door")
    topic = f"{broker.prefix}/lab/door/home_assistant"
    async with listening(broker, topic, qos=1) as client, running(sink.run()):
        for event in (old, *fresh):
            await sink.put(event)
        message = await anext(client.messages)
        await sink.put(fresh[3])  # sent again, as after a broken connection
        await sink.close()
        assert len(client.messages) == 0
    assert (message.qos, message.retain) == (1, False)
    assert isinstance(message.payload, bytes)
    told = json.loads(message.payload)
    assert (told["event_type"], told["person"], told["id"]) == ("anger", None, fresh[3].id)
    assert all(not isinstance(value, dict | list) for value in told.values())


@pytest.mark.parametrize(
    ("value", "prefix"), [("true", "homeassistant"), ("false", "none"), ("a/b", "a/b")]
)
def test_one_key_switches_it_on(value: str, prefix: str) -> None:
    mqtt = load(None, ["mqtt.url=mqtt://h", f"mqtt.home_assistant={value}"]).mqtt
    assert mqtt
    assert mqtt.home_assistant == prefix


def test_what_is_no_discovery_prefix_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"mqtt.home_assistant: must be .* MQTT topic level"):
        load(None, ["mqtt.url=mqtt://h", "mqtt.home_assistant=a/#"])


def test_freshness_is_a_minute(make_event: MakeEvent) -> None:
    event = make_event()
    assert TrustedEvent.of(event, event.recordedtime + timedelta(seconds=60))
    assert TrustedEvent.of(event, event.recordedtime + timedelta(seconds=61)) is None


async def test_templates_say_what_they_should(broker: Broker, make_event: MakeEvent) -> None:
    jinja2 = pytest.importorskip("jinja2", reason="templates are Jinja's; it comes with torch")
    (device,) = map(json.loads, HomeAssistant(broker, "lab", "ha").add("door").values())
    template = {key: part.get("value_template") for key, part in device["components"].items()}

    def shown(key: str, value: str) -> str:
        parsed = json.loads(value) if value.startswith("{") else None
        made: str = jinja2.Template(template[key]).render(value=value, value_json=parsed)
        return made

    trusted, untrusted = (
        CameraState.of(make_event(trusted=each)).model_dump_json() for each in (True, False)
    )
    assert [shown("emotion", trusted), shown("emotion", untrusted)] == ["happiness", "None"]
    assert [shown("trusted", trusted), shown("trusted", untrusted)] == ["ON", "OFF"]
    assert shown("confidence", untrusted) == "90.0"
    assert shown("connected", "online: the picture is black; clean the lens") == "ON"
    assert shown("connected", "offline") == "OFF"
    status = jinja2.Template(device["availability"][1]["value_template"])
    assert status.render(value="offline: wrong user name or password") == "offline"


async def test_without_it_nothing_is_said_to_home_assistant(
    broker: Broker, make_event: MakeEvent
) -> None:
    sink = MqttSink(broker, "lab")
    async with (
        listening(broker, f"{broker.prefix}/lab/door/home_assistant", qos=1) as client,
        running(sink.run()),
    ):
        await sink.put(make_event().model_copy(update={"recordedtime": datetime.now(UTC)}))
        await sink.close()
        assert len(client.messages) == 0


def test_identifiers_fit_discovery_and_stay_different() -> None:
    names = ["a_b", "a b", "a-b", "a/b", "ä", "ö", "Tür/1"]
    made = [identifier(name) for name in names]
    assert len(set(made)) == len(names)
    assert all(re.fullmatch("[a-zA-Z0-9-]+", name) for name in made)
