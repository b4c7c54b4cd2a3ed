"""A process follows its file of settings and its broker while it runs."""

import asyncio
import json
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import aiomqtt
import pytest

from streamer.broker import Broker
from streamer.event import EmotionEvent
from tests.rtsp import RtspServer
from tests.streamer.broker import free_port, listening
from tests.streamer.events import SOON
from tests.streamer.pages import get
from tests.streamer.test_run import credence


class Topics:
    """What is on a broker's topics: the newest, and every event."""

    def __init__(self, client: aiomqtt.Client, prefix: str) -> None:
        self.newest: dict[str, bytes] = {}
        self.events: list[EmotionEvent] = []
        self._client, self._prefix = client, f"{prefix}/"

    def of(self, camera: str) -> list[EmotionEvent]:
        return [event for event in self.events if event.subject == camera]

    def info(self) -> list[str]:
        names: list[str] = json.loads(self.newest["attic/info"])["cameras"]
        return names

    def states(self) -> dict[str, str]:
        stats = json.loads(self.newest["attic/stats"])["cameras"]
        return {name: each["state"] for name, each in stats.items()}

    async def until(self, there: Callable[[], object]) -> None:
        while not there():
            message = await anext(aiter(self._client.messages))
            assert isinstance(message.payload, bytes)
            topic = str(message.topic).removeprefix(self._prefix)
            self.newest[topic] = message.payload
            if topic.endswith("/event"):
                self.events.append(EmotionEvent.model_validate_json(message.payload))


class Settings:
    """A file of settings."""

    def __init__(self, path: Path, **kept: object) -> None:
        self.path, self.kept = path, kept

    async def write(self, cameras: Mapping[str, Mapping[str, object]], **other: object) -> None:
        listed = [{"name": name, **each} for name, each in cameras.items()]
        text = json.dumps({**self.kept, "cameras": listed, **other})
        await asyncio.to_thread(self.path.write_text, text)


async def reloaded() -> tuple[int | None, str, str]:
    process = await asyncio.to_thread(credence, "reload", "--node", "attic")
    out, err = await asyncio.to_thread(process.communicate, timeout=40)
    return process.returncode, out, err


@asynccontextmanager
async def process(config: Path) -> AsyncIterator["subprocess.Popen[str]"]:
    node = await asyncio.to_thread(credence, "run", config)
    try:
        yield node
    finally:
        if node.returncode is None:
            node.kill()
            await asyncio.to_thread(node.communicate)


@pytest.mark.timeout(120)
async def test_a_process_follows_its_file_and_its_broker(
    servers: list[RtspServer], broker: Broker, tmp_path: Path
) -> None:
    one, other = ({"url": server.url} for server in servers)
    hidden = {**other, "enabled": False}
    port, discovery = free_port(), f"{broker.prefix}/home"
    settings = Settings(
        tmp_path / "c.yaml",
        node="attic",
        faces={"model": "haar"},
        windows=SOON,
        transcript={"model": "none"},
        metrics={"port": port},
        mqtt={
            "url": f"mqtt://{broker.address}",
            "topic_prefix": broker.prefix,
            "home_assistant": discovery,
            "switches": True,
        },
    )
    await settings.write({"door": one, "yard": other})
    async with (
        listening(broker, f"{broker.prefix}/#", qos=1) as client,
        process(settings.path) as node,
    ):
        seen = Topics(client, broker.prefix)
        await seen.until(lambda: seen.of("door") and seen.of("yard"))
        devices = [topic for topic in seen.newest if topic.endswith("/config")]
        (device,) = [topic for topic in devices if topic.endswith("/yard/config")]
        assert "switch" in seen.newest[device].decode()

        await settings.write({"door": one, "yard": {"url": "no://camera"}})
        code, out, err = await reloaded()
        assert (code, out) == (2, "")
        assert err.startswith(f"credence: {settings.path}:1: cameras.1.url must begin with rtsp://")
        assert err.endswith("; nothing was changed\n")

        cameras: dict[str, Mapping[str, object]] = {"door": one, "hall": other, "shed": hidden}
        await settings.write(cameras, vad={"hangover_s": 0.6})
        told = await reloaded()
        assert told == (0, "added hall, shed; removed yard; restart for: vad\n", "")
        gone = [f"attic/yard/{leaf}" for leaf in ("status", "state", "enabled")]
        await seen.until(lambda: all(seen.newest[topic] == b"" for topic in (*gone, device)))
        await seen.until(lambda: seen.of("hall") and seen.info() == [*cameras])
        assert seen.newest["attic/shed/enabled"] == b"OFF"
        assert seen.newest["attic/shed/status"] == b"offline: disabled"
        assert seen.states()["shed"] == "disabled"
        _, page = await asyncio.to_thread(get, port, "/metrics")
        assert ('camera="hall"' in page, 'camera="yard"' in page) == (True, False)

        switch = broker.topic("attic", "hall", "enabled", "set")
        await client.publish(broker.topic("attic", "yard", "enabled", "set"), "OFF", qos=1)
        for payload in ("nonsense", "OFF"):
            await client.publish(switch, payload, qos=1)
        await seen.until(lambda: seen.newest["attic/hall/status"] == b"offline: disabled")
        assert seen.newest["attic/hall/enabled"] == b"OFF"

        before = len(seen.of("hall"))
        await settings.write({**cameras, "shed": other}, vad={"hangover_s": 0.6})
        node.send_signal(signal.SIGHUP)  # and the file wins
        await seen.until(lambda: len(seen.of("hall")) > before and seen.of("shed"))
        assert seen.newest["attic/hall/enabled"] == b"ON"

        before = len(seen.of("hall"))
        await settings.write({**cameras, "hall": one, "shed": other}, vad={"hangover_s": 0.6})
        assert await reloaded() == (0, "changed hall; restart for: vad\n", "")
        await seen.until(lambda: len(seen.of("hall")) > before + 1)
        node.send_signal(signal.SIGTERM)
        _, log = await asyncio.to_thread(node.communicate, timeout=20)
    assert (node.returncode, "Traceback" in log) == (0, False)
    assert "settings were read again: enabled hall, shed; restart for: vad" in log
    assert "no camera is named 'yard', so none was switched" in log
    assert "camera 'hall' was not switched: enabled/set takes ON or OFF" in log
    assert log.count("camera door: online") == 1, "it was left alone"
    for name in ("door", "hall", "shed"):
        events = seen.of(name)
        assert [int(event.sequence) for event in events] == list(range(len(events)))
    starts_s = [event.data.window.start_s for event in seen.of("door")]
    assert starts_s == sorted(starts_s), "one epoch"
