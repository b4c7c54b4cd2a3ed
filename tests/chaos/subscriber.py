"""Who must not miss an event: a persistent session, and the books it keeps."""

import json
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

Key = tuple[str, int]
"""Camera and sequence."""


@dataclass(slots=True)
class Books:
    """What came, in order, with every copy."""

    came: list[Key] = field(default_factory=list)
    payloads: dict[tuple[str, str], set[bytes]] = field(default_factory=lambda: defaultdict(set))
    """Every text of each (source, id)."""

    def note(self, payload: bytes) -> None:
        """Note one message."""
        event = json.loads(payload)
        self.came.append((event["subject"], int(event["sequence"])))
        self.payloads[event["source"], event["id"]].add(payload)

    @property
    def once(self) -> list[Key]:
        """What came, without copies, in order."""
        return list(dict.fromkeys(self.came))

    @property
    def out_of_order(self) -> int:
        """How many came, for the first time, after a later one of their camera."""
        newest: dict[str, int] = {}
        late = 0
        for camera, number in self.once:
            late += number < newest.get(camera, -1)
            newest[camera] = max(number, newest.get(camera, -1))
        return late

    @property
    def ambiguous(self) -> int:
        """How many (source, id) name different events."""
        return sum(len(texts) > 1 for texts in self.payloads.values())


class Subscriber:
    """A session that outlives connections: the broker keeps for it what it misses."""

    def __init__(self, port: int) -> None:
        self.books = Books()
        self._subscribed = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, "chaos", clean_session=False)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe("credence/lab/+/event", 1)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = lambda _c, _d, message: self.books.note(bytes(message.payload))
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._subscribed.wait(5)

    def wait_for(self, accepted: set[Key], within_s: float) -> None:
        """Wait until all has come, but not for ever."""
        until_s = time.monotonic() + within_s
        while accepted - set(self.books.came) and time.monotonic() < until_s:
            time.sleep(0.1)

    def close(self) -> None:
        """Leave."""
        self._client.disconnect()
        self._client.loop_stop()
