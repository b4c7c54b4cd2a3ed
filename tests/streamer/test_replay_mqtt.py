"""A recording published as a camera would: seen by our own and by foreign subscribers."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.streamer.broker import Mosquitto, need

ROOT = Path(__file__).parents[2]


@contextmanager
def started(*command: str | Path) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def first_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline()


@pytest.mark.timeout(60)
def test_replay_is_seen_by_every_subscriber(
    shared_mosquitto: Mosquitto, short_clip: Path, tmp_path: Path
) -> None:
    need("mosquitto_sub")
    port = str(shared_mosquitto.port)
    url = f"mqtt://127.0.0.1:{port}"
    # What is retained tells each subscriber, and us, that it is subscribed.
    topic = "credence/before/astronaut/status"
    subprocess.run(
        ["mosquitto_pub", "-p", port, "-t", topic, "-m", "online", "-r"], check=True, timeout=5
    )
    listen = ["mosquitto_sub", "-p", port, "-t", "credence/+/astronaut/#", "-v"]
    example: list[str | Path] = [
        sys.executable,
        ROOT / "examples/subscribe.py",
        url,
        "--count",
        "2",
    ]
    watch = [sys.executable, "-m", "streamer.cli", "watch", "--mqtt", url, "--camera", "astronaut"]
    with started(*listen) as sub, started(*example) as subscriber, started(*watch) as watcher:
        assert subscriber.stderr is not None
        assert subscriber.stderr.readline() == "listening\n"
        assert first_line(sub) == f"{topic} online\n"
        assert watcher.stderr is not None
        while "camera before/astronaut is online" not in watcher.stderr.readline():
            pass
        command = [sys.executable, "-m", "streamer.cli", "replay", short_clip, "--mqtt", url]
        out = tmp_path / "events.jsonl"
        done = subprocess.run(
            [*map(str, command), "--speed", "1", "--output", str(out)],
            capture_output=True,
            text=True,
            timeout=50,
            cwd=ROOT,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        written = [json.loads(line) for line in out.read_text().splitlines()]
        assert "happiness" in first_line(subscriber)
        assert "astronaut" in first_line(watcher)
        seen: dict[str, list[str]] = {"status": [], "event": [], "state": [""]}
        last = written[-1]["data"]["window_id"]

        def complete() -> bool:  # a status is not ordered with the events
            told = "offline" in seen["status"] and last in seen["state"][-1]
            return told and len(seen["event"]) >= len(written)

        while not complete():
            of, _, payload = first_line(sub).rstrip("\n").partition(" ")
            seen[of.rpartition("/")[2]].append(payload)
    assert [json.loads(payload) for payload in seen["event"]] == written
    assert seen["status"][0] == "online"
    assert json.loads(seen["state"][-1])["window_id"] == written[-1]["data"]["window_id"]
