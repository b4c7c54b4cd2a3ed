"""Connections of those who ask this process something, each answered by a task of its own."""

import asyncio
import socket
from collections.abc import Coroutine
from typing import Any, Final, Protocol

MOST: Final = 32
"""So many are answered at a time; who comes on top of them is hung up on."""
_TURNS: Final = 4
"""Turns of the loop from a connection that is accepted to its transport, and to its end."""


class Answer(Protocol):
    """Answers one caller. Raises nothing; the connection is closed when it returns."""

    def __call__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> Coroutine[Any, Any, None]:
        """Read what is asked, and write the answer."""


async def serve(listener: socket.socket, answer: Answer, *, limit: int, name: str) -> None:
    """Answer callers until cancelled; a line, or what else is read to its end, has ``limit`` bytes
    at most."""
    busy: set[asyncio.Task[None]] = set()
    try:
        async with asyncio.TaskGroup() as callers:

            def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                if len(busy) >= MOST or not server.is_serving():  # the latter: we were leaving
                    writer.close()
                    return
                caller = callers.create_task(answer(reader, writer), name=name)
                busy.add(caller)
                caller.add_done_callback(busy.discard)
                caller.add_done_callback(lambda _: writer.close())  # also when it never began

            server = await asyncio.start_server(
                connected, sock=listener, limit=limit, start_serving=False
            )
            await server.start_serving()
            loop = asyncio.get_running_loop()
            try:
                await loop.create_future()  # until cancelled
            finally:
                loop.remove_reader(listener)  # asyncio would leak whom it lets in while it closes
                await _settled()
                server.close()
    finally:
        await _settled()


async def _settled() -> None:
    """Wait until whom the loop has let in is answered, and whom it closes is closed."""
    for _ in range(_TURNS):
        await asyncio.sleep(0)
