"""Callers' connections are closed, whenever who answers them leaves."""

import asyncio
import gc
import socket

import pytest

from streamer import callers


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(await reader.readline())


@pytest.mark.parametrize("turns", range(8))
async def test_who_calls_while_we_leave_is_hung_up_on(turns: int) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    serving = asyncio.create_task(callers.serve(listener, _echo, limit=64, name="echo"))
    await asyncio.sleep(0.01)  # it listens
    with socket.create_connection(listener.getsockname()) as caller:
        for _ in range(turns):
            await asyncio.sleep(0)
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        caller.settimeout(5.0)
        if turns:  # before the first turn nobody has let it in
            assert _hung_up(caller)
    gc.collect()  # a transport that was left open would warn here


def _hung_up(caller: socket.socket) -> bool:
    try:
        return caller.recv(1) == b""
    except ConnectionResetError:
        return True
