"""The access rules in `docs/mqtt.md` allow what each user needs and nothing else."""

import asyncio
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiomqtt import ProtocolVersion
from structlog.testing import capture_logs

from streamer.broker import Broker, Client, Delivery, RefusedError
from streamer.sinks.home_assistant import HomeAssistant
from streamer.sinks.mqtt import MqttSink
from streamer.topics import EXPLANATION, SWAPPED
from tests.streamer.broker import Mosquitto, need, running
from tests.streamer.conftest import MakeEvent

PAGE = Path(__file__).parents[2] / "docs/mqtt.md"
USERS = "attic", "watcher", "home-assistant", "admin"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker with the rules of the page; each user's password is its name."""
    need("mosquitto_passwd")
    folder = tmp_path_factory.mktemp("acl")
    rules = folder / "rules"
    (text,) = [part for part in PAGE.read_text("utf-8").split("```\n") if "\nuser attic" in part]
    rules.write_text(text)
    mosquitto = Mosquitto(folder, login=(USERS[0],) * 2, settings=f"acl_file {rules}\n")
    for user in USERS[1:]:
        subprocess.run(
            ["mosquitto_passwd", "-b", folder / "passwords", user, user], check=True, timeout=10
        )
    yield mosquitto.start().address
    mosquitto.kill()


def connected(broker: Broker, user: str) -> Client:
    return Client(replace(broker, username=user, password=user), protocol=ProtocolVersion.V5)


async def test_a_node_is_allowed_all_that_it_does(guarded: Broker, make_event: MakeEvent) -> None:
    home = HomeAssistant(guarded, "attic", "homeassistant", switches=True)
    node = MqttSink(guarded, "attic", home=home)
    swaps, switches = node.commands("engines", "swap"), node.commands("+", "enabled", "set")
    event = make_event().model_copy(update={"recordedtime": datetime.now(UTC)})
    expected = {f"credence/attic/{leaf}" for leaf in ("availability", "engines/swapped")}
    expected |= {f"credence/attic/door/{leaf}" for leaf in ("event", "state", "enabled")}
    expected |= {f"credence/attic/door/{leaf}" for leaf in ("explanation", "home_assistant")}
    expected |= {"homeassistant/device/credence_attic/door/config", "credence/attic/door/status"}
    with capture_logs() as logs:
        async with (
            connected(guarded, "home-assistant") as reader,
            connected(guarded, "admin") as admin,
        ):
            await reader.listen("#")
            async with asyncio.timeout(5), running(node.run()):
                node.enlist("door", enabled=True)
                await node.status("door", online=True)
                node.once(b"{}", SWAPPED, "engines", "swapped")
                node.once(b"{}", EXPLANATION, "door", "explanation")
                await node.put(event)
                seen = set[str]()
                async for message in reader.received():
                    seen.add(str(message.topic))
                    if seen == expected:
                        break
                await admin.send("credence/attic/engines/swap", b"{}", Delivery())
                assert (await swaps.get()).payload == b"{}"
                await reader.send("credence/attic/door/enabled/set", b"OFF", Delivery())
                assert (await switches.get()).payload == b"OFF"
                await node.close()
    assert [log for log in logs if log["log_level"] != "info"] == []


@pytest.mark.parametrize(
    ("user", "topic"),
    [
        ("attic", "credence/cellar/door/event"),
        ("attic", "credence/cellar/availability"),
        ("attic", "credence/cellar/engines/swap"),
        ("attic", "homeassistant/device/credence_cellar/door/config"),
        ("attic", "homeassistant/status"),
        ("watcher", "credence/attic/door/event"),
        ("watcher", "credence/attic/engines/swap"),
        ("home-assistant", "credence/attic/engines/swap"),
        ("home-assistant", "credence/attic/door/event"),
        ("watcher", "credence/attic/door/enabled/set"),
        ("attic", "credence/cellar/door/enabled/set"),
        ("admin", "credence/attic/door/event"),
    ],
)
async def test_nobody_writes_what_is_not_theirs(guarded: Broker, user: str, topic: str) -> None:
    async with connected(guarded, user) as client:
        with pytest.raises(RefusedError, match=f"does not let this user publish on {topic}"):
            await client.send(topic, b"x", Delivery())


@pytest.mark.parametrize(
    ("user", "count"), [("watcher", 1), ("home-assistant", 1), ("admin", 1), ("attic", 0)]
)
async def test_events_are_read_by_who_may(guarded: Broker, user: str, count: int) -> None:
    async with connected(guarded, user) as client, connected(guarded, "attic") as node:
        await client.listen("credence/+/+/event")
        await node.send("credence/attic/door/event", b"x", Delivery())
        # What comes after it shows that nothing came before.
        await client.listen("credence/attic/availability")
        await node.send("credence/attic/availability", b"last", Delivery())
        seen = 0
        async for message in client.received():
            seen += message.payload == b"x"
            if message.payload == b"last":
                break
    assert seen == count
