"""The spool with a real broker, a real full disk, and the command that opens it."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import aiomqtt
import pytest
from structlog.testing import capture_logs

from streamer.broker import Broker
from streamer.sinks.mqtt import MqttSink
from streamer.sinks.spool import Spool
from streamer.sinks.spool_store import Bounds
from tests.media import write_media
from tests.streamer.broker import Attempts, Mosquitto, listening, running
from tests.streamer.conftest import MakeEvent
from tests.streamer.test_run import configured, credence, finished

SAVES_WHEN_TOLD = "persistence true\npersistence_location {folder}/\nautosave_interval 0\n"


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[Spool]:
    spool = await asyncio.to_thread(Spool.open, tmp_path / "spool.sqlite3", Bounds())
    yield spool
    await asyncio.to_thread(spool.__exit__, None, None, None)


def remembered(broker: Broker) -> aiomqtt.Client:
    """A subscriber for whom the broker keeps what it misses."""
    return aiomqtt.Client(
        broker.host, broker.port, identifier="patient", clean_session=False, timeout=5
    )


@pytest.mark.timeout(30)
async def test_broker_that_forgets_what_it_acknowledged_gets_it_again(
    tmp_path: Path, spool: Spool, make_event: MakeEvent
) -> None:
    mosquitto = Mosquitto(tmp_path, settings=SAVES_WHEN_TOLD.format(folder=tmp_path)).start()
    try:
        async with remembered(mosquitto.address) as client:
            await client.subscribe("credence/lab/+/event", qos=1)
        await asyncio.to_thread(mosquitto.save, tmp_path / "mosquitto.db")
        sink = MqttSink(mosquitto.address, "lab", spool, delays=Attempts())
        async with running(sink.run()):
            for n in range(20):
                await sink.put(make_event(n=n))
            async with asyncio.timeout(5):
                while sink.waiting:  # noqa: ASYNC110 - it tells nobody
                    await asyncio.sleep(0.01)
            mosquitto.kill()
            mosquitto.start()
            async with remembered(mosquitto.address) as client:
                came = [json.loads((await anext(client.messages)).payload) for _ in range(20)]
        assert [int(event["sequence"]) for event in came] == list(range(20))
    finally:
        mosquitto.kill()


async def test_state_stays_what_it_is_when_events_are_sent_again(
    broker: Broker, spool: Spool, make_event: MakeEvent
) -> None:
    for _ in range(2):
        sink = MqttSink(broker, "lab", spool)
        topic = broker.topic("lab", "door", "state")
        async with listening(broker, topic) as client, running(sink.run()):
            for n in range(spool.next_sequence("door"), spool.next_sequence("door") + 3):
                await sink.put(make_event(n=n))
            said = ""
            ids = []
            while said != f"door{spool.next_sequence('door') - 1:06}":
                said = json.loads((await anext(client.messages)).payload)["window_id"]
                ids.append(said)
        assert ids == sorted(ids)


async def test_full_disk_refuses_until_there_is_room(
    small_disk: Path, make_event: MakeEvent
) -> None:
    path, ballast = small_disk / "spool.sqlite3", small_disk / "ballast"
    await asyncio.to_thread(ballast.write_bytes, bytes(100_000))
    spool = await asyncio.to_thread(Spool.open, path, Bounds())
    accepted = []

    async def put(numbers: range) -> None:
        for n in numbers:
            refused = spool.lost["unwritable"]
            await spool.put(make_event(n=n))
            if spool.lost["unwritable"] == refused:
                accepted.append(n)

    with capture_logs() as logs:
        await put(range(100))
        refused = spool.lost["unwritable"]
        await asyncio.to_thread(ballast.unlink)
        await put(range(100, 105))
    assert 5 < refused < 95
    assert {100, 104} <= set(accepted)
    assert [log["event"].partition(" (")[0] for log in logs] == [
        "events are refused, the spool cannot be written",
        "the spool can be written again",
    ]
    await asyncio.to_thread(spool.__exit__, None, None, None)
    again = await asyncio.to_thread(Spool.open, path, Bounds())
    letters = [await again.take() for _ in accepted]
    assert [letter[1].sequence for letter in letters if letter] == accepted
    await asyncio.to_thread(again.__exit__, None, None, None)


@pytest.mark.timeout(90)
async def test_run_that_was_killed_goes_on_counting(
    broker: Broker, talk: Path, tmp_path: Path
) -> None:
    url = f"mqtt://{broker.address}"
    config = await asyncio.to_thread(configured, tmp_path, {"a": str(talk)}, url, broker.prefix)
    spooled = ("--set", f"spool.folder={tmp_path / 'spool'}")
    seen: dict[str, int] = {}
    async with listening(broker, broker.topic("attic", "a", "event")) as client:
        for end, enough in ((signal.SIGKILL, 2), (signal.SIGTERM, 4)):
            process = await asyncio.to_thread(credence, "run", config, *spooled)
            while len(seen) < enough:
                event = json.loads((await anext(client.messages)).payload)
                assert seen.setdefault(event["id"], int(event["sequence"])) == int(
                    event["sequence"]
                )
            process.send_signal(end)
            await asyncio.to_thread(process.communicate, timeout=20)
    assert sorted(seen.values()) == list(range(len(seen)))


@pytest.mark.timeout(60)
async def test_run_refuses_a_spool_that_it_cannot_have(
    broker: Broker, tmp_path: Path, spool: Spool
) -> None:
    clip = await asyncio.to_thread(write_media, tmp_path / "a.mp4", seconds=0.2)
    url = f"mqtt://{broker.address}"
    config = await asyncio.to_thread(configured, tmp_path, {"a": str(clip)}, url, broker.prefix)
    for folder, problem in ((tmp_path, "another node uses it"), (clip, "file exists")):
        where = ("--set", f"spool.folder={folder}")
        code, _, stderr = await asyncio.to_thread(finished, "run", config, *where)
        assert code == 2
        assert stderr.startswith(f"credence: {folder}/spool.sqlite3: no events can be kept there")
        assert (problem in stderr, stderr.count("\n")) == (True, 1)
