"""Commands that come by a broker."""

import asyncio
from dataclasses import dataclass
from typing import Final

import aiomqtt
import structlog

_WAITING: Final = 16
"""So many commands of a topic wait; more are dropped."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Command:
    """What somebody told the node."""

    topic: str
    payload: bytes


class Inbox:
    """Keeps commands, by topic, for those who obey them."""

    def __init__(self) -> None:
        self._commands: dict[str, asyncio.Queue[Command]] = {}

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics to listen to."""
        return tuple(self._commands)

    def of(self, topic: str) -> asyncio.Queue[Command]:
        """Return where the messages on a topic will be put. A level of it may be `+`."""
        return self._commands.setdefault(topic, asyncio.Queue(_WAITING))

    def take(self, message: aiomqtt.Message) -> bool:
        """Return whether a message is a command; then it is put where it belongs."""
        if (topic := next(filter(message.topic.matches, self._commands), None)) is None:
            return False
        commands = self._commands[topic]
        # A retained one would be obeyed again after each connection.
        if message.retain or commands.full() or not isinstance(message.payload, bytes):
            log.warning("a command by the broker was ignored", retained=message.retain)
        else:
            commands.put_nowait(Command(str(message.topic), message.payload))
        return True
