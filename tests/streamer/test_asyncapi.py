"""`docs/asyncapi.yaml` describes what really goes over a broker."""

import asyncio
import json
import re
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiomqtt
import jsonschema
import pytest
import yaml
from paho.mqtt.subscribeoptions import SubscribeOptions

from streamer.broker import Broker
from streamer.topics import TOPICS
from tests.media import SMALL_WHISPER
from tests.rtsp import RtspServer
from tests.streamer.chat import MODEL, ChatServer, as_measured, serving
from tests.streamer.test_run import credence

ROOT = Path(__file__).parents[2]
DOCUMENT: dict[str, Any] = yaml.safe_load((ROOT / "docs/asyncapi.yaml").read_text())


def found(reference: str) -> Any:
    """Return what a reference within the document points at."""
    place: Any = DOCUMENT
    for step in reference.removeprefix("#/").split("/"):
        place = place[step]
    return found(place["$ref"]) if isinstance(place, dict) and "$ref" in place else place


def references(place: Any) -> Iterator[str]:
    match place:
        case dict():
            for key, value in place.items():
                yield from [value] if key == "$ref" else references(value)
        case list():
            for value in place:
                yield from references(value)


def test_every_reference_leads_somewhere() -> None:
    for reference in references(DOCUMENT):
        assert found(reference), reference


def test_every_channel_names_its_parameters() -> None:
    for channel in DOCUMENT["channels"].values():
        assert set(re.findall(r"{(\w+)}", channel["address"])) == channel["parameters"].keys()


def test_every_channel_has_one_operation() -> None:
    channels = [operation["channel"]["$ref"] for operation in DOCUMENT["operations"].values()]
    assert sorted(channels) == sorted(f"#/channels/{name}" for name in DOCUMENT["channels"])


def test_every_schema_is_one() -> None:
    for schema in DOCUMENT["components"]["schemas"].values():
        jsonschema.Draft7Validator.check_schema(schema)


def test_every_topic_is_in_the_page_for_readers() -> None:
    page = (ROOT / "docs/mqtt.md").read_text(encoding="utf-8")
    rows = [[cell.strip(" `") for cell in row.split("|")] for row in page.splitlines()]
    table = {row[1]: row for row in rows if len(row) == 7}
    for topic in TOPICS:
        row = table[re.sub(r"{(\w+)}", r"<\1>", topic.levels)]
        if not topic.listens:
            days = {None: "never", 60: "1 minute", 604_800: "7 days"}[topic.delivery.expiry_s]
            assert row[3:6] == ["1", "yes" if topic.delivery.retain else "no", days], row


class Described:
    """Holds messages against the document."""

    def __init__(self, **parameters: str) -> None:
        self._parameters = parameters
        self.seen: set[str] = set()

    def check(self, message: aiomqtt.Message) -> None:
        (name,) = [name for name in DOCUMENT["channels"] if self._is_on(name, str(message.topic))]
        self.seen.add(name)
        (operation,) = [
            operation
            for operation in DOCUMENT["operations"].values()
            if operation["channel"]["$ref"] == f"#/channels/{name}"
        ]
        stated = operation["bindings"]["mqtt"]
        assert isinstance(message.payload, bytes)
        described = found(operation["messages"][0]["$ref"])
        is_text = described["contentType"] == "text/plain"
        body = message.payload.decode() if is_text else json.loads(message.payload)
        schema = {**described["payload"], "components": DOCUMENT["components"]}
        jsonschema.Draft7Validator(schema).validate(body)
        if operation["action"] == "receive":  # by this test
            return
        assert (message.qos, message.retain) == (stated["qos"], stated["retain"])
        said = message.properties.json() if message.properties else {}  # type: ignore[no-untyped-call]
        if headers := described.get("headers"):
            schema = {**headers, "components": DOCUMENT["components"]}
            jsonschema.Draft7Validator(schema).validate(dict(said["UserProperty"]))
        else:
            assert "UserProperty" not in said
        promised = described.get("bindings", {}).get("mqtt", {})
        assert said.get("ContentType") == promised.get("contentType")
        assert said.get("PayloadFormatIndicator") == promised.get("payloadFormatIndicator")
        expiry_s = stated.get("messageExpiryInterval")
        left_s = said.get("MessageExpiryInterval")
        assert left_s == expiry_s or expiry_s - 10 <= left_s < expiry_s  # the broker counts down

    def _is_on(self, name: str, topic: str) -> bool:
        pattern = re.sub(
            r"\\{(\w+)\\}",
            lambda braces: re.escape(self._parameters.get(braces[1], "")) or "[^/]+",
            re.escape(DOCUMENT["channels"][name]["address"]),
        )
        return re.fullmatch(pattern, topic) is not None


@asynccontextmanager
async def running_node(config: Path) -> AsyncIterator["subprocess.Popen[str]"]:
    process = await asyncio.to_thread(credence, "run", config)
    try:
        yield process
    finally:
        process.kill()
        await asyncio.to_thread(process.communicate)


@pytest.fixture
def chat() -> Iterator[ChatServer]:
    with serving(as_measured) as server:
        yield server


@pytest.mark.timeout(120)
async def test_every_message_is_as_described(
    servers: list[RtspServer],
    chat: ChatServer,
    broker: Broker,
    tmp_path: Path,
) -> None:
    discovery = f"{broker.prefix}-ha"
    settings = {
        "node": "attic",
        "faces": {"model": "haar"},
        "transcript": {"model": str(SMALL_WHISPER), "publish": True, "partials": True},
        "language_model": {"url": chat.url, "model": MODEL},
        "cameras": [{"name": "front door", "url": servers[0].url}],
        "mqtt": {
            "url": f"mqtt://{broker.address}",
            "topic_prefix": broker.prefix,
            "home_assistant": discovery,
            "swap_from": str(tmp_path),
            "switches": True,
        },
    }
    config = tmp_path / "c.yaml"
    config.write_text(json.dumps(settings))
    described = Described(prefix=broker.prefix, discovery=discovery)
    as_published = SubscribeOptions(qos=1, retainAsPublished=True)
    async with (
        aiomqtt.Client(broker.host, broker.port, protocol=aiomqtt.ProtocolVersion.V5) as client,
        running_node(config) as node,
    ):
        for topics in (broker.prefix, discovery):
            await client.subscribe(f"{topics}/#", options=as_published)
        told = False
        async for message in client.messages:
            described.check(message)
            if message.topic.matches(broker.topic("attic", "availability")):
                if message.payload == b"offline":
                    break
            elif str(message.topic).endswith("/event") and not told:
                told = True
                await client.publish(f"{discovery}/status", "online", qos=1)
                swap = json.dumps({"face": "nothing-of-that-name"})
                await client.publish(broker.topic("attic", "engines", "swap"), swap, qos=1)
                switch = broker.topic("attic", "front door", "enabled", "set")
                await client.publish(switch, "ON", qos=1)
            elif described.seen == DOCUMENT["channels"].keys():
                node.send_signal(signal.SIGTERM)
    assert described.seen == DOCUMENT["channels"].keys()
