"""Messages of which only the newest wait for a broker."""

from collections import deque
from typing import Final

from streamer.broker import Client, Delivery

WAITING: Final = 64
"""So many wait; of more the oldest are dropped."""


class Newest:
    """Sends each message once, and again where a connection breaks before it is acknowledged."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[str, bytes, Delivery]] = deque(maxlen=WAITING)

    def put(self, topic: str, payload: bytes, delivery: Delivery) -> None:
        """Take a message."""
        self._waiting.append((topic, payload, delivery))

    async def send(self, client: Client) -> None:
        """Send all that wait, in their order."""
        while self._waiting:
            message = self._waiting[0]
            await client.send(*message)
            if self._waiting[0] is message:  # else it made room meanwhile
                self._waiting.popleft()
