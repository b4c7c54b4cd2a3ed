"""`credence run` and `credence check` as processes, from real servers to real subscribers."""

import asyncio
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from streamer import cli_given as given
from streamer.broker import Broker
from streamer.config import ConfigError
from streamer.event import EmotionEvent
from tests.media import CLIPS, needs_data, write_media
from tests.rtsp import RtspServer
from tests.streamer.broker import Mosquitto, free_port, listening, need
from tests.streamer.events import SOON
from tests.streamer.test_replay_mqtt import started

ROOT = Path(__file__).parents[2]


def credence(*words: str | Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "streamer.cli", *map(str, words)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=ROOT)


def configured(folder: Path, cameras: dict[str, str], mqtt: str = "", prefix: str = "") -> Path:
    config: dict[str, Any] = {
        "node": "attic",
        "faces": {"model": "haar"},
        "windows": SOON,
        "cameras": [{"name": name, "url": url} for name, url in cameras.items()],
    }
    if mqtt:
        config["mqtt"] = {"url": mqtt, "topic_prefix": prefix}
    path = folder / "c.yaml"
    path.write_text(json.dumps(config))
    return path


@pytest.mark.alone
@pytest.mark.timeout(60)
async def test_run_publishes_and_ends_cleanly(
    servers: list[RtspServer], talk: Path, broker: Broker, tmp_path: Path
) -> None:
    server = RtspServer(talk, ("admin", "s3cret"))
    cameras = {
        "door": server.with_login("admin", "s3cret"),
        "attic": servers[0].url,
        "file": str(talk),
        "lost": f"rtsp://admin:s3cret@127.0.0.1:{free_port()}/x",
    }
    config = configured(tmp_path, cameras, f"mqtt://{broker.address}", broker.prefix)
    out = tmp_path / "events.jsonl"
    status = broker.topic("attic", "+", "status")
    seen: dict[str, int] = {}
    said: dict[str, list[str]] = {}
    async with listening(broker, broker.topic("attic", "+", "event"), status) as client:
        process = await asyncio.to_thread(credence, "run", config, "--output", out)
        killed = False
        async for message in client.messages:
            camera, what = str(message.topic).split("/")[-2:]
            assert isinstance(message.payload, bytes)
            if what == "status":
                said.setdefault(camera, []).append(message.payload.decode())
                continue
            EmotionEvent.model_validate_json(message.payload)
            seen[camera] = seen.get(camera, 0) + 1
            if not killed and set(seen) == {"door", "attic", "file"}:
                killed = True
                await asyncio.to_thread(server.kill)
                seen.clear()
            if killed and seen.get("attic", 0) >= 2 and said["door"][-1].startswith("offline"):
                break
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        stdout, stderr = await asyncio.to_thread(process.communicate, timeout=10)
        async with asyncio.timeout(5):
            while said["attic"][-1] != "offline":
                message = await anext(client.messages)
                camera, what = str(message.topic).split("/")[-2:]
                if what == "status":
                    assert isinstance(message.payload, bytes)
                    said[camera].append(message.payload.decode())
    server.close()
    assert time.monotonic() - began < 5
    assert (process.returncode, stdout) == (0, "")
    assert "s3cret" not in stderr
    assert "Traceback" not in stderr
    assert "camera lost: connection refused" in stderr
    assert "engine face" in stderr
    assert said["door"][:2] == ["offline", "online"]
    written = [json.loads(line) for line in out.read_text().splitlines()]
    for camera in ("door", "attic", "file"):
        numbers = [int(event["sequence"]) for event in written if event["subject"] == camera]
        assert numbers == list(range(len(numbers)))


class Lines:
    """What a subscriber has printed so far, read by a thread of its own."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.all: list[str] = []
        self._changed = threading.Condition()
        threading.Thread(target=self._read, args=(process,), daemon=True).start()

    def until(self, there: Callable[[list[str]], object]) -> None:
        """Wait for what has been printed to be enough."""
        with self._changed:
            assert self._changed.wait_for(lambda: there(self.all), 40), self.all[-3:]

    def _read(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            with self._changed:
                self.all.append(line)
                self._changed.notify_all()


def cameras_of(events: list[str]) -> set[str]:
    """Return whose events these are, as `watch --json` or `mosquitto_sub -v` prints them."""
    return {
        json.loads(line[line.index("{") :])["subject"]
        for line in events
        if line.startswith("{") or "/event " in line
    }


@pytest.mark.timeout(120)
def test_two_cameras_and_a_file_reach_every_subscriber_whichever_is_killed(
    servers: list[RtspServer], talk: Path, shared_mosquitto: Mosquitto, tmp_path: Path
) -> None:
    need("mosquitto_sub")
    door, attic = servers
    port, everyone = shared_mosquitto.port, {"door", "attic", "file"}
    url, topic = f"mqtt://127.0.0.1:{port}", "killing/attic/door/status"
    config = configured(
        tmp_path, {"door": door.url, "attic": attic.url, "file": str(talk)}, url, "killing"
    )
    # What is retained tells us that the subscribers are there.
    before = ["mosquitto_pub", "-p", str(port), "-r", "-t", "killing/before/x/status"]
    subprocess.run([*before, "-m", "online"], check=True, timeout=5)
    watch = [sys.executable, "-m", "streamer.cli", "watch", "--mqtt", url, "--json"]
    watch += ["--prefix", "killing"]
    listen = ["mosquitto_sub", "-p", str(port), "-t", "killing/#", "-v"]
    run = [sys.executable, "-m", "streamer.cli", "run", str(config)]
    with started(*watch) as watcher, started(*listen) as subscriber:
        watched, heard = Lines(watcher), Lines(subscriber)
        heard.until(len)
        assert watcher.stderr is not None
        while "camera before/x is online" not in watcher.stderr.readline():
            pass
        with started(*run) as node:
            heard.until(lambda lines: cameras_of(lines) == everyone)
            watched.until(lambda lines: cameras_of(lines) == everyone)
            door.kill()
            heard.until(lambda lines: any(x.startswith(f"{topic} offline: ") for x in lines))
            seen, shown = len(heard.all), len(watched.all)
            heard.until(lambda lines: {"attic", "file"} <= cameras_of(lines[seen:]))
            watched.until(lambda lines: {"attic", "file"} <= cameras_of(lines[shown:]))
            assert node.poll() is None
            node.send_signal(signal.SIGTERM)
            assert node.wait(10) == 0
        last = [line for line in heard.all if line.startswith(topic)]
    assert last[0] == f"{topic} offline\n"
    assert last[1] == f"{topic} online\n"


def finished(*words: str | Path) -> tuple[int, str, str]:
    with credence(*words) as process:
        stdout, stderr = process.communicate(timeout=30)
    assert "Traceback" not in stderr
    return process.returncode, stdout, stderr


@pytest.mark.timeout(30)
def test_run_without_output_is_one_sentence(tmp_path: Path) -> None:
    code, _, stderr = finished("run", configured(tmp_path, {"a": "a.mp4"}))
    assert code == 2
    assert stderr.startswith("credence: events have nowhere to go")


@pytest.mark.timeout(30)
def test_run_without_cameras_is_one_sentence(tmp_path: Path) -> None:
    code, _, stderr = finished("run", configured(tmp_path, {}))
    assert code == 2
    assert stderr.startswith("credence: no cameras are configured")


@pytest.mark.timeout(30)
def test_run_ends_with_its_files(tmp_path: Path) -> None:
    clip = write_media(tmp_path / "a.mp4", seconds=0.5)
    cameras = {"a": str(clip), "b": str(tmp_path / "none.mp4")}
    code, stdout, stderr = finished("run", configured(tmp_path, cameras), "--output", "-")
    assert (code, stdout) == (2, "")
    assert "camera b: there is no such file" in stderr
    assert "camera a: the file has ended" in stderr


@pytest.mark.timeout(60)
def test_check_tries_everything(servers: list[RtspServer], tmp_path: Path) -> None:
    bad = {
        "door": servers[0].url,
        "lost": f"rtsp://admin:s3cret@127.0.0.1:{free_port()}/x",
        "wrong": servers[0].url.replace("/clip", "/other"),
    }
    config = configured(tmp_path, bad, f"mqtt://127.0.0.1:{free_port()}", "credence")
    (tmp_path / "file").touch()
    spool = ("--set", f"spool.folder={tmp_path / 'file/spool'}")
    code, stdout, stderr = finished("check", config, *spool)
    lines = stdout.splitlines()
    assert code == 2
    assert lines[1] == "camera door: h264 480x480 at 25/s, aac 16000 Hz"
    assert lines[2].startswith("camera lost: connection refused")
    assert lines[3].startswith("camera wrong: there is no such stream")
    assert "connection refused" in lines[4]
    assert lines[5].endswith("file is no folder; set spool.folder to another")
    assert "s3cret" not in stdout + stderr
    code, stdout, stderr = finished("check", configured(tmp_path, {}))
    assert (code, stdout) == (2, "")
    assert "no cameras are configured" in stderr


@pytest.mark.timeout(30)
def test_one_camera_needs_no_configuration(servers: list[RtspServer]) -> None:
    code, stdout, stderr = finished("check", servers[0].url)
    assert (code, stderr.count("credence: ")) == (0, 0)
    assert stdout.splitlines()[1] == "camera camera: h264 480x480 at 25/s, aac 16000 Hz"
    code, stdout, stderr = finished("run", "rtsp://admin:s3cret@/x", "--output", "-")
    assert (code, stdout) == (2, "")
    assert stderr.startswith("credence: the camera's address must name a host")
    assert "s3cret" not in stderr


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("rtps://admin:s3cret@host/x", "the camera's address must begin with rtsp:// or http://"),
        ("rtsp:/admin:s3cret@host/x", "the camera's address must begin with rtsp:// or http://"),
        ("webcam", "webcam: there is no such file; name settings in YAML, or a camera by its"),
        ("configs", "configs: this is a folder; name a YAML file in it"),
        ("a.mp4", "a.mp4: this is no YAML; if it is a recording, use `credence replay`, or put"),
    ],
)
def test_what_is_neither_settings_nor_a_camera_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("configs").mkdir()
    write_media(Path("a.mp4"), seconds=0.2)
    with pytest.raises(ConfigError) as caught:
        given.cameras(source, [])
    assert str(caught.value).startswith(sentence)
    assert "s3cret" not in str(caught.value)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("command", "code"), [("replay", 130), ("run", 0)])
def test_an_interrupt_while_judging_ends_cleanly(tmp_path: Path, command: str, code: int) -> None:
    clip = write_media(tmp_path / "a.mov", seconds=8, size=(640, 480), rate_hz=10, codec="mjpeg")
    given = clip if command == "replay" else configured(tmp_path, {"a": str(clip)})
    busy = ("--set", "video.sample_every_s=0.02", "--set", "faces.model=haar", "--output", "-")
    begun = "does not say when it began" if command == "replay" else "camera a: online"
    processes = [credence(command, given, *busy) for _ in range(3)]
    for number, process in enumerate(processes):
        assert process.stderr is not None
        while begun not in process.stderr.readline():
            assert process.poll() is None
        time.sleep(0.1 * number)
        process.send_signal(signal.SIGINT)
        if command == "run":  # as `timeout` and some terminals do
            time.sleep(0.01)
            process.send_signal(signal.SIGINT)
    for process in processes:
        _, stderr = process.communicate(timeout=20)
        assert "Traceback" not in stderr
        assert (process.returncode, "terminate" in stderr) == (code, False)


@needs_data
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
@pytest.mark.timeout(60)
def test_a_full_disk_ends_it_in_one_sentence(tmp_path: Path) -> None:
    config = configured(tmp_path, {"a": str(CLIPS / "lbax4n.mpg")})
    process = credence("run", config, "--output", "/dev/full")
    _, stderr = process.communicate(timeout=50)
    assert "Traceback" not in stderr
    assert stderr.splitlines()[-1] == (
        "credence: /dev/full: no more events can be written (no space left on device); make room"
    )
    assert process.returncode == 2
