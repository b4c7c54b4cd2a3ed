"""A real node with real cameras, and what a subscriber and the log tell of it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from tests.streamer.broker import free_port

ROOT = Path(__file__).parents[2]
_PATIENCE_S = 60.0
_OWN_HOSTS = 'mount --bind "$0" /etc/hosts && exec "$@"'


class Camera:
    """A camera's process."""

    def __init__(self, clip: Path) -> None:
        self.clip, self.port = clip, free_port()
        self._process: subprocess.Popen[str] | None = None

    @property
    def rate(self) -> float:
        """Bytes per second of its clip, by and large."""
        return self.clip.stat().st_size / 12

    def start(self, clip: Path | None = None, **faults: object) -> None:
        """Start it, and wait until it serves."""
        words = (str(self.port), str(clip or self.clip), json.dumps(faults))
        command = [sys.executable, "-m", "tests.chaos.camera", *words]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert self._process.stdout is not None
        with self._process.stdout as said:
            assert said.readline() == "serving\n"

    def stop(self) -> None:
        """Stop it, with all connections open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on where it was stopped."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class Node:
    """`credence run`, and what comes of it; the cameras are started with it."""

    def __init__(self, folder: Path, broker: int, clip: Path, names: Sequence[str]) -> None:
        self.cameras = {name: Camera(clip) for name in names}
        self._folder, self._broker, self._ended = folder, broker, ""
        self._events: list[tuple[float, dict[str, Any]]] = []
        self._statuses: dict[str, tuple[float, str]] = {}
        self._heard = threading.Condition()
        self._hosts = folder / "hosts"
        self._hosts.write_text("127.0.0.1 localhost\n")

    @staticmethod
    def host(name: str) -> str:
        """Return the host of a camera, as the node is told."""
        return f"{name}.chaos.invalid" if name == "unknown" else "127.0.0.1"

    def know(self, host: str) -> None:
        """Let a host name be known from now on."""
        with self._hosts.open("a") as hosts:
            hosts.write(f"127.0.0.1 {host}\n")

    def __enter__(self) -> Self:
        for camera in self.cameras.values():
            camera.start()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, "scene")
        self._client.on_connect = lambda client, *_: client.subscribe("credence/lab/#", 1)
        self._client.on_message = lambda _c, _d, message: self._take(message)
        self._client.connect("127.0.0.1", self._broker)
        self._client.loop_start()
        self._process = self._started()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end()
        self._client.disconnect()
        self._client.loop_stop()
        for camera in self.cameras.values():
            camera.kill()

    def end(self) -> str:
        """Tell the node to end, once; return how it did."""
        if self._ended:
            return self._ended
        self._process.terminate()
        try:
            code = self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        traced = "Traceback" in "\n".join(self.log())
        well = code == 0 and not traced
        odd = f"exit code {code}{', a traceback' if traced else ''}"
        self._ended = "ends when told, without a traceback" if well else odd
        return self._ended

    def log(self) -> list[str]:
        """Return what it has logged so far."""
        return (self._folder / "node.log").read_text().splitlines()

    def events(self, name: str, since_s: float = 0.0) -> list[dict[str, Any]]:
        """Return a camera's events that have come since a time, by time.monotonic()."""
        return [e for at_s, e in self._events if at_s >= since_s and e["subject"] == name]

    def status(self, name: str) -> str:
        """Return a camera's last status."""
        return self._statuses.get(name, (0.0, ""))[1]

    def online(self, name: str, since_s: float = 0.0) -> bool:
        """Return whether a camera's last status, come since a time, is that it works."""
        at_s, status = self._statuses.get(name, (0.0, ""))
        return at_s >= since_s and status.startswith("online")

    def longest_gap_s(self, name: str) -> float:
        """Return the longest time between two events of a camera."""
        times_s = [at_s for at_s, event in self._events if event["subject"] == name]
        return max((later - at for at, later in pairwise(times_s)), default=float("inf"))

    def wait_until(self, there: Callable[[], object], what: str) -> None:
        """Wait for something to be heard."""
        until_s = time.monotonic() + _PATIENCE_S
        while not there():
            assert time.monotonic() < until_s, f"waited in vain for {what}"
            with self._heard:
                self._heard.wait(0.1)

    def _started(self) -> "subprocess.Popen[bytes]":
        cameras = [
            {"name": name, "url": f"rtsp://{self.host(name)}:{camera.port}/clip"}
            for name, camera in self.cameras.items()
        ]
        config = self._folder / "node.yaml"
        settings = {
            "node": "lab",
            "cameras": cameras,
            "mqtt": {"url": f"mqtt://127.0.0.1:{self._broker}"},
            "faces": {"model": "haar"},
            "transcript": {"model": "none"},
            "metrics": {"port": 0},
        }
        config.write_text(json.dumps(settings))
        command = [sys.executable, "-m", "streamer.cli", "run", str(config)]
        if "unknown" in self.cameras:
            command = ["unshare", "--mount", "sh", "-c", _OWN_HOSTS, str(self._hosts), *command]
        with (self._folder / "node.log").open("w") as log:
            environment = {**os.environ, "XDG_STATE_HOME": str(self._folder / "state")}
            return subprocess.Popen(command, stderr=log, cwd=ROOT, env=environment)

    def _take(self, message: paho.MQTTMessage) -> None:
        *_, camera, leaf = message.topic.split("/")
        with self._heard:
            if leaf == "event":
                self._events.append((time.monotonic(), json.loads(message.payload)))
            elif leaf == "status":
                self._statuses[camera] = time.monotonic(), bytes(message.payload).decode()
            self._heard.notify_all()


class Scene:
    """One camera of the node, and what is waited for."""

    def __init__(self, name: str, node: Node) -> None:
        self.name, self.node, self.camera = name, node, node.cameras[name]
        self.host = node.host(name)

    def wait_for_event(self) -> None:
        """Wait for an event that comes from now on."""
        from_s = time.monotonic()
        self.node.wait_until(lambda: self.node.events(self.name, from_s), "an event")

    def wait_for_status(self, *parts: str) -> None:
        """Wait until its status holds all of these."""
        status = self.node.status
        self.node.wait_until(
            lambda: all(part in status(self.name) for part in parts), " and ".join(parts)
        )

    def start(self, clip: Path | None = None, **faults: object) -> None:
        """Start the camera, and wait until it is online again."""
        self.camera.start(clip, **faults)
        self.wait_until_online()

    def wait_until_online(self) -> None:
        """Wait until it is said from now on that the camera works."""
        from_s = time.monotonic()
        self.node.wait_until(lambda: self.node.online(self.name, from_s), "online")

    def wait_until_offline(self, *reasons: str) -> None:
        """Wait until it does not, and the log says one of the reasons, if any are given."""
        self.wait_for_status("offline: ")
        said = [f"camera {self.name}: {reason}" for reason in reasons]
        self.node.wait_until(
            lambda: not said or any(s in line for line in self.node.log() for s in said), str(said)
        )

    def wait_for_line(self, text: str) -> None:
        """Wait until the log says this of the camera."""
        line = f"camera {self.name}: {text}"
        self.node.wait_until(lambda: any(line in said for said in self.node.log()), text)

    def back(self) -> str:
        """Start the camera and wait for events; say how long that took."""
        began_s = time.monotonic()
        self.start()
        return self.events_since(began_s)

    def events_since(self, began_s: float) -> str:
        """Wait for the next event; say how long after a time it came."""
        self.wait_for_event()
        return f"events {time.monotonic() - began_s:.1f} s after the camera is back"


def own_hosts() -> bool:
    """Whether a process here can be given a file /etc/hosts of its own."""
    if shutil.which("unshare") is None:
        return False
    command = ["unshare", "--mount", "sh", "-c", _OWN_HOSTS, "/etc/hosts", "true"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
