"""A node's engines are swapped while it judges a real camera, by the command and by the broker."""

import asyncio
import json
import re
import signal
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from pathlib import Path

import aiomqtt
import pytest

from streamer.broker import Broker
from streamer.event import EmotionEvent
from tests.rtsp import RtspServer
from tests.streamer.broker import listening
from tests.streamer.bundles import deceptive, policy_for, variant
from tests.streamer.test_run import credence


def swapped(*words: str | Path) -> tuple[int | None, str, str]:
    """Run `credence engines swap`; return its exit code and what it says."""
    process = credence("engines", "swap", *words)
    out, err = process.communicate(timeout=40)
    return process.returncode, out, err


class Messages:
    """What a node publishes: its events, and what comes of swaps."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self.events: list[EmotionEvent] = []
        self.answers: list[dict[str, object]] = []
        self._messages: AsyncIterator[aiomqtt.Message] = aiter(client.messages)

    async def until(self, there: Callable[[], object]) -> None:
        while not there():
            message = await anext(self._messages)
            assert isinstance(message.payload, bytes)
            if str(message.topic).endswith("/swapped"):
                self.answers.append(json.loads(message.payload))
            else:
                self.events.append(EmotionEvent.model_validate_json(message.payload))

    @property
    def outcomes(self) -> list[object]:
        return [answer["outcome"] for answer in self.answers]

    async def until_outcome(self, outcome: str) -> None:
        """Wait for this to have come of the last swap."""
        await self.until(lambda: self.outcomes[-1:] == [outcome])

    async def until_judged_by(self, face: str) -> None:
        """Wait for the newest event of both cameras to be by a face engine."""
        await self.until(lambda: {"a": face, "b": face} == self.newest())

    def newest(self) -> dict[str, str]:
        return {event.subject: event.data.engines["face"] for event in self.events}


@pytest.mark.alone
@pytest.mark.timeout(120)
async def test_engines_are_swapped_between_windows_and_taken_back_when_they_fail(
    servers: list[RtspServer],
    broker: Broker,
    tmp_path: Path,
    subtests: pytest.Subtests,
) -> None:
    def prepare() -> tuple[str, str]:
        face = variant(tmp_path / "face-2", "face", name="other")
        deceptive(tmp_path / "face-3", "face")
        return face, policy_for(tmp_path / "policy-2", face=face)

    face, policy = await asyncio.to_thread(prepare)
    settings = {
        "node": "attic",
        "faces": {"model": "haar"},
        "transcript": {"model": "none"},
        "cameras": [{"name": name, "url": s.url} for name, s in zip("ab", servers, strict=True)],
        "mqtt": {
            "url": f"mqtt://{broker.address}",
            "topic_prefix": broker.prefix,
            "swap_from": str(tmp_path),
        },
    }
    config = tmp_path / "c.yaml"
    await asyncio.to_thread(config.write_text, json.dumps(settings))
    topics = broker.topic("attic", "+", "event"), broker.topic("attic", "engines", "swapped")
    async with listening(broker, *topics, qos=1) as client:
        node = await asyncio.to_thread(credence, "run", config)
        published = Messages(client)
        await published.until(lambda: published.events)
        first = published.events[0].data
        new = "--face", tmp_path / "face-2", "--policy", tmp_path / "policy-2"
        code, out, err = await asyncio.to_thread(swapped, *new)
        assert (code, err) == (0, "")
        assert f"now judge face {face}, voice {first.engines['voice']}" in out
        await published.until_outcome("swapped")
        await published.until_judged_by(face)

        # A new engine fails with its first window, so those before it judge that one, too.
        bad = "--face", tmp_path / "face-3", "--policy", "none"
        code, out, err = await asyncio.to_thread(swapped, *bad, "--node", "attic")
        await published.until_outcome("taken back")
        if code:  # else no window came while the command waited
            assert (code, out) == (2, "")
            assert err.startswith("credence: the new engines failed and were taken back: face-3:")

        back = broker.topic("attic", "engines", "swap")
        await client.publish(back, b'{"face": "../face", "policy": "none"}', qos=1)
        await client.publish(back, b'{"face": "shipped", "policy": "shipped"}', qos=1)
        await published.until_judged_by(first.engines["face"])
        await published.until_outcome("swapped")
        node.send_signal(signal.SIGTERM)
        _, log = await asyncio.to_thread(node.communicate, timeout=20)
    assert (node.returncode, "Traceback" in log) == (0, False)
    assert "the new engines failed, those before them judge again" in log
    outcomes = [each for each in published.outcomes if each != "on trial"]
    assert outcomes == ["swapped", "taken back", "refused", "swapped"]
    assert str(tmp_path) not in json.dumps(published.answers)
    for camera in "ab":
        events = [event for event in published.events if event.subject == camera]
        assert [int(event.sequence) for event in events] == list(range(len(events)))
        assert len({event.data.window_id for event in events}) == len(events)
        judges = [(event.data.engines["face"], event.data.policy) for event in events]
        changes = [judges[0], *(after for before, after in pairwise(judges) if after != before)]
        assert changes == [
            (first.engines["face"], first.policy),
            (face, policy),
            (first.engines["face"], first.policy),
        ]
    for camera in "ab":
        with subtests.test("nothing is lost between windows", camera=camera):
            if re.search("media (is|was) dropped", log) or log.count(": online") != 2:
                pytest.skip("the machine was busy: media was dropped, or a camera lost")
            spans = [event.data.window for event in published.events if event.subject == camera]
            gaps_s = [after.start_s - before.end_s for before, after in pairwise(spans)]
            assert all(0 <= gap_s < 1 for gap_s in gaps_s), gaps_s
