"""Whether a camera that was away has come back: knocks at its door, and does not log in."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from streamer.addresses import Address

_SHUT_S: Final = 0.25
"""A connection that is refused costs a packet each way."""
_OPEN_S: Final = 2.0
"""One that is taken costs the camera more; and who starts again takes longer than that."""
_PATIENCE_S: Final = 1.0


def returned(address: Address, stop: threading.Event) -> Iterator[None]:
    """Yield once, as soon as what took no connection takes one, or a device that was none is there.

    One that takes connections all along, and is of no use, never returns. Blocks.
    """
    there = True
    while not stop.wait(_SHUT_S):
        before, there = there, _there(address)
        if there and not before:
            yield
            return
        if there:
            stop.wait(_OPEN_S)


def _there(address: Address) -> bool:
    try:
        if not address.host:
            return Path(address.url).exists()
        socket.create_connection((address.host, address.port), _PATIENCE_S).close()
    except (OSError, UnicodeError):
        return False
    return True
