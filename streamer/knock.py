"""Whether a camera that was away has come back: knocks at its door, and does not log in."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from streamer.addresses import Address

_EVERY_S: Final = 0.25
"""A connection that is refused costs a packet each way."""
_PATIENCE_S: Final = 1.0


def returned(address: Address, stop: threading.Event) -> Iterator[None]:
    """Yield once, as soon as what took no connection takes one, or a device that was none is there.

    One that takes connections all along, and is of no use, never returns. Blocks.
    """
    was_away = False
    while not stop.wait(_EVERY_S):
        there = _there(address)
        if there and was_away:
            yield
            return
        was_away = was_away or not there


def _there(address: Address) -> bool:
    if not address.host:
        return Path(address.url).exists()
    try:
        socket.create_connection((address.host, address.port), _PATIENCE_S).close()
    except (OSError, UnicodeError):
        return False
    return True
