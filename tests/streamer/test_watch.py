"""`credence watch` against a real broker: every event once, whatever else comes along."""

import asyncio
import io
from collections.abc import Iterator
from dataclasses import replace
from itertools import repeat

import aiomqtt
import pytest
from aiomqtt import Message, ProtocolVersion

from streamer.broker import Broker
from streamer.event import EmotionEvent, Explanation
from streamer.lines import Lines, Payloads
from streamer.sinks.mqtt import MqttSink
from streamer.watch import Inbox, Recent, watch
from tests.streamer.broker import Mosquitto, running
from tests.streamer.conftest import MakeEvent
from tests.streamer.events import SEVERAL, event_of


class Stream(io.StringIO):
    """A stream whose lines can be awaited."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: asyncio.Queue[str] = asyncio.Queue()
        self._part = ""

    def write(self, text: str) -> int:
        *whole, self._part = (self._part + text).split("\n")
        for line in whole:
            self._lines.put_nowait(line)
        return len(text)

    async def next(self) -> str:
        return await self._lines.get()

    def empty(self) -> bool:
        return self._lines.empty()


def quickly() -> Iterator[float]:
    return repeat(0.01)


async def test_events_are_shown_once_and_as_lines(broker: Broker, make_event: MakeEvent) -> None:
    out, notices = Stream(), Stream()
    sink = MqttSink(broker, "lab")
    untrusted = make_event(
        n=1, trusted=False, reason="below_threshold", person=None, emotions=SEVERAL
    )
    async with running(sink.run()), running(watch(broker, Lines(out, notices))):
        await sink.status("door", online=True)
        await _both(notices, "node lab is online", "camera lab/door is online")
        for event in (make_event(n=0), make_event(n=0), untrusted):
            await sink.put(event)
        first, second = await out.next(), await out.next()
        await sink.close()
        await _both(notices, "node lab is offline", "camera lab/door is offline")
    assert first == (
        "2026-01-01 00:00:02  lab/door           #1  speech            happiness █████████░  90%  "
        "trusted         u 0.20  conflict 0.05"
    )
    assert second.split("happiness", 1)[1] == (
        " █████████░  90%  below threshold u 0.20  conflict 0.05  shows happiness 81%, surprise 47%"
    )
    assert out.empty()


async def test_json_is_what_was_published(broker: Broker, make_event: MakeEvent) -> None:
    out, notices = Stream(), Stream()
    sink = MqttSink(broker, "lab")
    watching = watch(broker, Payloads(out, notices), node="lab", camera="door")
    async with running(sink.run()), running(watching):
        assert await notices.next() == "node lab is online"
        await sink.put(make_event("yard"))
        await sink.put(make_event("door"))
        assert await out.next() == make_event("door").model_dump_json()


async def test_malformed_is_said_once_and_counted(broker: Broker, make_event: MakeEvent) -> None:
    out, notices = Stream(), Stream()
    topic = f"{broker.prefix}/lab/door/event"
    async with aiomqtt.Client(broker.host, broker.port) as client:
        await client.publish(f"{broker.prefix}/lab/availability", "online", qos=1, retain=True)
        async with running(watch(broker, Lines(out, notices))):
            await notices.next()
            for payload in (b"{", b"\xff\x00", b'{"id": 1}', b""):
                await client.publish(topic, payload, qos=1)
            await client.publish(topic, make_event().model_dump_json(), qos=1)
            assert "happiness" in await out.next()
    assert (await notices.next()).startswith("lab/door sent something that is no emotion event (")
    assert await notices.next() == "4 messages that were no emotion events were left out"
    assert notices.empty()


async def test_watch_survives_the_broker(mosquitto: Mosquitto, make_event: MakeEvent) -> None:
    out, notices = Stream(), Stream()
    broker = mosquitto.start().address
    sink = MqttSink(broker, "lab", delays=quickly)
    watching = watch(broker, Lines(out, notices), delays=quickly)
    async with running(watching), running(sink.run()):
        assert await notices.next() == "node lab is online"
        mosquitto.kill()
        mosquitto.start()
        await sink.status("door", online=True)
        assert await notices.next() == "camera lab/door is online"
        await sink.put(make_event())
        assert "happiness" in await out.next()


def test_line_survives_a_narrow_ascii_stream(make_event: MakeEvent) -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii")
    inbox = Inbox("credence", Lines(out, io.StringIO()))
    inbox.take(message("credence/lab/door/event", make_event()))
    out.flush()
    assert raw.getvalue().count(b"\n") == 1
    assert b"#########.  90%" in raw.getvalue()


def test_names_cannot_steer_a_terminal(make_event: MakeEvent) -> None:
    out, notices = io.StringIO(), io.StringIO()
    inbox = Inbox("credence", Lines(out, notices))
    inbox.take(message("credence/lab/d\x1b[31m[bold]/event", make_event()))
    inbox.take(message("credence/lab/availability", "\x1b]0;title\x07"))
    assert "lab/d?[31m[bold]" in out.getvalue()
    assert "\x1b" not in out.getvalue() + notices.getvalue()


def test_json_is_one_line_whoever_wrote_it(make_event: MakeEvent) -> None:
    out = io.StringIO()
    inbox = Inbox("credence", Payloads(out, io.StringIO()))
    inbox.take(message("credence/lab/door/event", make_event().model_dump_json(indent=2)))
    assert out.getvalue() == make_event().model_dump_json() + "\n"


@pytest.mark.parametrize(("key", "new"), [(0, True), (1, False), (2, False)])
def test_memory_of_duplicates_is_bounded(key: int, new: bool) -> None:
    recent = Recent(2)
    assert all(recent.is_new(k) for k in range(3))
    assert recent.is_new(key) is new


async def _both(lines: Stream, *expected: str) -> None:
    assert {await lines.next() for _ in expected} == set(expected)


def message(topic: str, payload: object) -> Message:
    text = payload if isinstance(payload, str) else payload.model_dump_json()  # type: ignore[attr-defined]
    return Message(topic, text.encode(), qos=1, retain=False, mid=1, properties=None)


class DiesAt(Payloads):
    """Ends like a watcher that is killed while it shows an event."""

    def __init__(self, out: Stream, notices: Stream, fatal: str = "") -> None:
        super().__init__(out, notices)
        self._fatal = fatal

    def event(self, name: str, event: EmotionEvent, payload: bytes) -> None:
        if event.id == self._fatal:
            raise EOFError
        super().event(name, event, payload)


@pytest.mark.parametrize("newest", [ProtocolVersion.V311, ProtocolVersion.V5])
async def test_since_shows_what_was_missed_once_and_in_order(
    mosquitto: Mosquitto, make_event: MakeEvent, newest: ProtocolVersion
) -> None:
    broker = replace(mosquitto.start().address, newest=newest)

    async def publish(*events: EmotionEvent) -> None:
        sink = MqttSink(broker, "lab")
        async with running(sink.run()):
            for event in events:
                await sink.put(event)
            await sink.close()

    async def shown(count: int, since: str | None = "desk", camera: str = "+") -> list[str]:
        """Watch until so many events have come, and no more; return their ids."""
        out, notices = Stream(), Stream()
        watching = watch(broker, Payloads(out, notices), camera=camera, since=since)
        async with asyncio.timeout(10), running(watching):
            while "node lab is" not in await notices.next():
                pass
            events = [EmotionEvent.model_validate_json(await out.next()) for _ in range(count)]
        assert out.empty()
        return [event.id for event in events]

    events = [make_event(n=n) for n in range(301)]
    ids = [event.id for event in events]
    await publish(events[0])
    assert await shown(0) == [], "nobody had asked to keep it"
    await publish(*events[:300])
    assert await shown(0, since=None) == await shown(0, since="hall") == []
    assert await shown(0, camera="door") == [], "other cameras are another place"
    out = Stream()
    with pytest.raises(EOFError):
        await watch(broker, DiesAt(out, Stream(), fatal=ids[200]), since="desk")
    first = [EmotionEvent.model_validate_json(await out.next()).id for _ in range(200)]
    assert (first, out.empty()) == (ids[:200], True)
    await publish(events[300])
    assert await shown(101) == ids[200:]
    assert await shown(0) == []


async def test_since_outlives_the_broker(mosquitto: Mosquitto, make_event: MakeEvent) -> None:
    broker = mosquitto.start().address
    out, notices = Stream(), Stream()
    sink = MqttSink(broker, "lab", delays=quickly)
    watching = watch(broker, Lines(out, notices), since="desk", delays=quickly)
    kept = "the broker keeps no place for desk yet; it does from now on"
    async with running(watching), running(sink.run()):
        await _both(notices, kept, "node lab is online")
        mosquitto.kill()
        mosquitto.start()
        assert await notices.next() == kept, "it had not saved it"
        await sink.put(make_event())
        assert "happiness" in await out.next()


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_why_is_shown_below_a_final_event_wherever_it_ends(encoding: str) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding)
    text = "The words sound happy (0.72), not least by “schön”."
    explanation = Explanation(text=text, cited=(), clues=(), labels=(), by="template")
    for phase in ("update", "final"):
        event = event_of(explanation=explanation, phase=phase)
        Lines(out, io.StringIO()).event("lab/door", event, b"")
    out.seek(0)
    assert [line for line in out if "words" in line] == [
        "    The words sound happy (0.72), not least by “schön”.\n"
        if encoding == "utf-8"
        else '    The words sound happy (0.72), not least by "sch?n".\n'
    ]
