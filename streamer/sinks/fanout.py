"""Every place where events go, as one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from streamer.event import EmotionEvent
from streamer.explanation import ExplanationEvent
from streamer.narrator import Narrator
from streamer.sinks.mqtt import MqttSink
from streamer.sinks.store import Store
from streamer.spoken import Spoken
from streamer.topics import EXPLANATION
from streamer.worker import Worker


class Output(Protocol):
    """Where events are written on this machine."""

    def put(self, event: EmotionEvent | ExplanationEvent) -> None:
        """Write one event."""


@dataclass(frozen=True, slots=True)
class Sinks:
    """Where events go: an output, a broker, a store."""

    output: Output | None
    mqtt: MqttSink | None
    writer: Worker
    """The thread for the output: who reads it may be slow, and the loop must go on."""
    store: Store | None = None
    """Where they can be asked for later."""
    taken: Callable[[EmotionEvent], None] = lambda _: None
    """Told of each event that all of them have taken."""
    narrator: Narrator | None = None
    """Explains them later."""

    async def put(self, event: EmotionEvent) -> None:
        """Write the next event, and wait until the broker's queue has room for it."""
        if self.store:
            self.store.put(event)
        if self.output:
            await self.writer.run(self.output.put, event)
        if self.mqtt:
            await self.mqtt.put(event)
        self.taken(event)
        if self.narrator:
            await self.narrator.ask(event)

    async def explain(self, event: ExplanationEvent) -> None:
        """Write a later explanation; the broker gets it once it is there."""
        if self.output:
            await self.writer.run(self.output.put, event)
        if self.mqtt:
            said = event.model_dump_json().encode()
            self.mqtt.once(said, EXPLANATION, event.subject, "explanation")

    def partial(self, spoken: Spoken) -> None:
        """Publish what is being said, unless the broker is away or slow."""
        if self.mqtt:
            self.mqtt.partial(spoken)

    async def status(self, camera: str, online: bool, why: str = "") -> None:
        """Say whether a camera, or a recording in its place, is running, and what is wrong."""
        if self.mqtt:
            await self.mqtt.status(camera, online, why)

    def enlist(self, camera: str, enabled: bool) -> None:
        """Say that there is a camera, and whether it is enabled."""
        if self.mqtt:
            self.mqtt.enlist(camera, enabled)

    def forget(self, camera: str) -> None:
        """Take back what is said of a camera that is no more."""
        if self.mqtt:
            self.mqtt.forget(camera)
