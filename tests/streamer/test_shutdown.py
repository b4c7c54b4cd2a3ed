"""The end of `credence run` with cameras that are wedged, and a broker that is away."""

import asyncio
import json
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamer.threads import run_to_end
from tests.rtsp import RtspServer
from tests.streamer.broker import free_port
from tests.streamer.test_run import configured, credence

pytestmark = [pytest.mark.alone, pytest.mark.timeout(60)]


@pytest.fixture
def silent() -> Iterator[str]:
    """A camera that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"rtsp://127.0.0.1:{server.getsockname()[1]}/x"


def until(process: "subprocess.Popen[str]", words: str) -> None:
    """Read what it logs until something has been said."""
    assert process.stderr is not None
    while words not in (line := process.stderr.readline()):
        assert line, f"it ended without saying {words!r}"


def until_next_event(process: "subprocess.Popen[str]", out: Path) -> None:
    before = out.stat().st_size
    while out.stat().st_size == before:
        assert process.poll() is None
        time.sleep(0.05)


def test_wedged_cameras_hold_up_neither_the_others_nor_the_end(
    servers: list[RtspServer], silent: str, tmp_path: Path
) -> None:
    well, frozen = servers
    out = tmp_path / "events.jsonl"
    cameras = {"well": well.url, "frozen": frozen.url, "silent": silent}
    with credence("run", configured(tmp_path, cameras), "--output", out) as process:
        until(process, "camera frozen: online")
        frozen.stalled.set()
        until_next_event(process, out)
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=5)
    assert process.returncode == 0
    assert "Traceback" not in stderr
    events = [json.loads(line) for line in out.read_text().splitlines()]
    numbers = [int(event["sequence"]) for event in events if event["subject"] == "well"]
    assert numbers == list(range(len(numbers)))
    assert numbers


def test_who_reads_the_log_may_go(servers: list[RtspServer], tmp_path: Path) -> None:
    out = tmp_path / "events.jsonl"
    config = configured(tmp_path, {"well": servers[0].url})
    with credence("run", config, "--output", out) as process:
        until(process, "camera well: online")
        assert process.stderr is not None
        process.stderr.close()
        process.send_signal(signal.SIGHUP)  # what came of it goes to the log
        until_next_event(process, out)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_the_next_signal_ends_it_at_once(silent: str, tmp_path: Path) -> None:
    config = configured(tmp_path, {"silent": silent}, f"mqtt://127.0.0.1:{free_port()}", "credence")
    with credence("run", config) as process:
        until(process, "cannot use the broker")
        process.send_signal(signal.SIGTERM)
        until(process, "stopping")
        time.sleep(1.2)  # sooner it means the same as the first
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=5)
    assert process.returncode == -signal.SIGTERM


def test_a_look_up_that_hangs_does_not_hold_up_the_end() -> None:
    hangs = threading.Event()

    async def leave_a_call_behind() -> None:
        loop = asyncio.get_running_loop()
        assert await loop.run_in_executor(None, lambda: 42) == 42
        with pytest.raises(ZeroDivisionError):
            await loop.run_in_executor(None, lambda: 1 / 0)
        loop.run_in_executor(None, hangs.wait)

    run_to_end(leave_a_call_behind())
    assert not hangs.is_set()
    hangs.set()
