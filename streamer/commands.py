"""What a node can be told while it runs, on its own machine or by its broker."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, Self

import structlog
from pydantic import model_validator

from streamer.config import Mqtt
from streamer.control import Claim, serve
from streamer.ensemble import Panel
from streamer.reload import Reloader
from streamer.sinks.mqtt import MqttSink
from streamer.swap import Answer, Swapper, Wanted
from streamer.topics import SWAPPED
from streamer.wire import UnreadableError, Wire

log = structlog.get_logger()


class Command(Wire):
    """A command on the node's own machine: one of these."""

    swap: Wanted | None = None
    reload: Literal[True] | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.swap is None) is (self.reload is None):
            raise ValueError("must be swap or reload")
        return self


class Refusal(Wire):
    """The answer to what is no command."""

    outcome: Literal["refused"] = "refused"
    sentence: str
    """For people."""


@dataclass(slots=True, eq=False)
class Commands:
    """Does what a node is told."""

    panel: Panel
    reloader: Reloader
    hangup: asyncio.Event
    """Set to have the configuration read again."""
    control: Claim | None
    mqtt: MqttSink | None
    settings: Mqtt | None
    """What the broker may ask for."""
    swapped: Callable[[], None] = lambda: None
    """Called when others may judge."""

    async def take(self) -> None:
        """Obey until cancelled."""
        swapper = Swapper(self.panel, self._tell)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._by_signal(), name="hangup")
                if self.control:
                    by_line = partial(self._by_line, swapper)
                    group.create_task(serve(self.control.listener, by_line), name="control")
                if self.mqtt and self.settings and self.settings.swap_from != "none":
                    swaps = self._swaps(swapper, self.mqtt, Path(self.settings.swap_from))
                    group.create_task(swaps, name="swaps")
                if self.mqtt and self.settings and self.settings.switches:
                    group.create_task(self._switches(self.mqtt), name="switches")
        finally:
            swapper.close()
            self.reloader.close()

    def _tell(self, answer: Answer) -> None:
        self.swapped()
        if self.mqtt:
            self.mqtt.once(answer.model_dump_json().encode(), SWAPPED, "engines", "swapped")

    async def _by_signal(self) -> None:
        while await self.hangup.wait():
            self.hangup.clear()
            await self.reloader.reload()

    async def _by_line(self, swapper: Swapper, line: bytes) -> bytes:
        answer: Wire
        try:
            wanted = Command.parse(line).swap
        except UnreadableError as error:
            answer = Refusal(sentence=f"{error}; nothing was changed")
        else:
            answer = await (swapper.swap(lambda: wanted) if wanted else self.reloader.reload())
        return answer.model_dump_json().encode()

    async def _swaps(self, swapper: Swapper, mqtt: MqttSink, folder: Path) -> None:
        asked = mqtt.commands("engines", "swap")
        while True:
            told = await asked.get()
            await swapper.swap(partial(_named, told.payload, folder))

    async def _switches(self, mqtt: MqttSink) -> None:
        asked = mqtt.commands("+", "enabled", "set")
        while True:
            told = await asked.get()
            camera = told.topic.split("/")[-3]
            if told.payload in (b"ON", b"OFF"):
                self.reloader.roster.switch(camera, enabled=told.payload == b"ON")
            elif told.payload:  # empty is how a retained command is taken back
                log.warning(f"camera {camera!r} was not switched: enabled/set takes ON or OFF")


def _named(payload: bytes, folder: Path) -> Wanted:
    return Wanted.parse(payload).within(folder)
