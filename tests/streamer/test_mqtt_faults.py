"""Events reach a broker that is late, deaf for a while, or killed."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress

import aiomqtt
import pytest
from structlog.testing import capture_logs

from streamer.broker import IN_FLIGHT, Broker
from streamer.sinks.mqtt import MqttSink
from streamer.sinks.outbox import MemoryOutbox
from tests.streamer.broker import (
    Attempts,
    Mosquitto,
    Proxy,
    free_port,
    listening,
    running,
)
from tests.streamer.conftest import MakeEvent


@pytest.fixture
async def proxy(broker: Broker) -> AsyncIterator[Proxy]:
    """What stands before the shared broker; away until opened."""
    proxy = Proxy(broker.port, prefix=broker.prefix)
    yield proxy
    await proxy.cut()


async def test_broker_that_appears_late_gets_everything_in_order(
    mosquitto: Mosquitto, make_event: MakeEvent
) -> None:
    proxy, attempts = Proxy(mosquitto.port), Attempts()
    sink = MqttSink(proxy.address, "lab", delays=attempts)
    with capture_logs() as logs:
        async with running(sink.run()):
            for n in range(20):
                await sink.put(make_event(n=n))
            await attempts.failed.wait()
            async with listening(mosquitto.start().address, "credence/lab/door/event") as client:
                await proxy.open()
                assert [await _sequence(client) for _ in range(20)] == list(range(20))
            await sink.close()
    await proxy.cut()
    assert [log["event"] for log in logs if log["log_level"] == "warning"] == [
        f"cannot use the broker at 127.0.0.1:{proxy.port}: connection refused "
        f"(is a broker running there?); trying again until it works"
    ]


async def test_unacknowledged_events_are_sent_again(
    broker: Broker, proxy: Proxy, make_event: MakeEvent
) -> None:
    payloads = [make_event(n=n).model_dump_json().encode() for n in range(3)]
    await proxy.open()
    sink = MqttSink(proxy.address, "lab", delays=Attempts())
    async with (
        listening(broker, f"{broker.prefix}/lab/availability") as presence,
        listening(broker, f"{broker.prefix}/lab/door/event") as client,
        running(sink.run()),
    ):
        await sink.status("door", online=True)
        assert (await anext(presence.messages)).payload == b"online"
        await _answered(broker, "lab/door/status")
        proxy.muted = True
        for n in range(3):
            await sink.put(make_event(n=n))
        first = (await anext(client.messages)).payload
        await proxy.cut()
        assert (await anext(presence.messages)).payload == b"offline"
        assert sink.waiting == 3
        proxy.muted = False
        await proxy.open()
        await sink.close()
        # the first sending may have been cut before the later ones
        while (last := (await anext(client.messages)).payload) != payloads[0]:
            assert last in payloads
        again = [last, *[(await anext(client.messages)).payload for _ in range(2)]]
    assert first == payloads[0]
    assert again == payloads


async def test_broker_killed_in_mid_flight_gets_each_event(
    mosquitto: Mosquitto, make_event: MakeEvent
) -> None:
    proxy = Proxy(mosquitto.start().port)
    await proxy.open()
    sink = MqttSink(proxy.address, "lab", delays=Attempts())
    topic = "credence/lab/+/event"
    seen: list[tuple[str, int]] = []
    async with running(sink.run()), running(_feed(sink, make_event, 400)):
        async with listening(mosquitto.address, topic) as client:
            while len(seen) < 50:
                seen.append(await _camera_and_sequence(client))
            mosquitto.kill()
            await proxy.cut()
            with suppress(aiomqtt.MqttError):
                while True:
                    seen.append(await _camera_and_sequence(client))
            while not client._queue.empty():  # what had come before the loss, aiomqtt drops
                seen.append(_named(client._queue.get_nowait()))
        mosquitto.start()
        async with listening(mosquitto.address, topic) as client:
            await proxy.open()
            while len(set(seen)) < 400:
                seen.append(await _camera_and_sequence(client))
    await proxy.cut()
    for camera in ("door", "yard"):
        once = list(dict.fromkeys(n for name, n in seen if name == camera))
        assert once == sorted(once)


async def test_full_queue_makes_its_writer_wait(
    broker: Broker, proxy: Proxy, make_event: MakeEvent
) -> None:
    sink = MqttSink(proxy.address, "lab", MemoryOutbox(2), delays=Attempts())
    async with running(sink.run()):
        await sink.put(make_event(n=0))
        await sink.put(make_event(n=1))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await sink.put(make_event(n=2))
        assert sink.waiting == 2
        await proxy.open()
        await sink.put(make_event(n=2))
        await sink.close()
    assert sink.waiting == 0


async def test_a_broker_that_acknowledges_nothing_does_not_get_all_into_memory(
    make_event: MakeEvent,
) -> None:
    class Deaf:
        """A connection on which nothing is acknowledged."""

        async def send(self, *_: object) -> None:
            await asyncio.Event().wait()

    outbox = MemoryOutbox(1000)
    sink = MqttSink(Broker("127.0.0.1", free_port()), "lab", outbox)
    for n in range(500):
        await sink.put(make_event(n=n))
    sending = asyncio.create_task(sink._send_events(Deaf()))  # type: ignore[arg-type]
    await asyncio.sleep(0.1)
    on_their_way = [each for each in asyncio.all_tasks() if each.get_name() == "mqtt event"]
    assert IN_FLIGHT < len(on_their_way) < 100
    sending.cancel()
    with suppress(asyncio.CancelledError):
        await sending


async def test_statuses_are_said_again_after_an_outage(broker: Broker, proxy: Proxy) -> None:
    await proxy.open()
    sink = MqttSink(proxy.address, "lab", delays=Attempts())
    topic = f"{broker.prefix}/lab/+/status"
    async with listening(broker, topic) as client, running(sink.run()):
        await sink.status("door", online=True)
        assert (await anext(client.messages)).payload == b"online"
        await proxy.cut()
        await sink.status("door", online=False)
        await sink.status("yard", online=True)
        await proxy.open()
        said = {m.topic.value: m.payload for m in [await anext(client.messages) for _ in range(2)]}
    assert {topic.split("/")[-2]: payload for topic, payload in said.items()} == {
        "door": b"offline",
        "yard": b"online",
    }


async def test_close_waits_for_the_broker_until_cancelled(make_event: MakeEvent) -> None:
    sink = MqttSink(Broker("127.0.0.1", free_port()), "lab", delays=Attempts())
    async with running(sink.run()):
        await sink.put(make_event())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await sink.close()
        assert sink.waiting == 1


async def _feed(sink: MqttSink, make_event: MakeEvent, count: int) -> None:
    for n in range(count // 2):
        await sink.put(make_event("door", n))
        await sink.put(make_event("yard", n))
    await asyncio.Event().wait()


async def _answered(broker: Broker, levels: str) -> None:
    async with listening(broker, f"{broker.prefix}/{levels}") as client:
        await anext(client.messages)


async def _sequence(client: aiomqtt.Client) -> int:
    return (await _camera_and_sequence(client))[1]


async def _camera_and_sequence(client: aiomqtt.Client) -> tuple[str, int]:
    return _named(await anext(client.messages))


def _named(message: aiomqtt.Message) -> tuple[str, int]:
    event = json.loads(message.payload)
    return event["subject"], int(event["sequence"])
