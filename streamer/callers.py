"""Connections of those who ask this process something, each answered by a task of its own."""

import asyncio
import socket
from collections.abc import Coroutine
from typing import Any, Final, Protocol

MOST: Final = 32
"""So many are answered at a time; who comes on top of them is hung up on."""


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
        try:
            await asyncio.get_running_loop().create_future()  # until cancelled
        finally:
            server.close()
