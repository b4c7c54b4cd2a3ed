"""Pages over HTTP: what is asked properly is answered, the rest hurts nobody."""

import asyncio
import random
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path

import pytest

from streamer import callers, endpoint
from streamer.config import Metrics as Settings
from streamer.endpoint import Page, opened
from tests.streamer.broker import free_port, running
from tests.streamer.pages import get

BIG = Page(b"x" * 50_000_000)


async def fine() -> Page:
    return Page(b"fine\n")


async def broken() -> Page:
    raise ZeroDivisionError


async def big() -> Page:
    return BIG


PAGES = {"/fine": fine, "/broken": broken, "/big": big}


@asynccontextmanager
async def serving() -> AsyncIterator[int]:
    """Return the port where pages are served."""
    with opened(Settings(port=free_port())) as listener:
        assert listener
        async with running(endpoint.serve(listener, PAGES)):
            yield listener.getsockname()[1]


@asynccontextmanager
async def calling(
    port: int,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def answer_to(port: int, request: bytes) -> bytes:
    """Return all that is answered to these bytes."""
    async with calling(port) as (reader, writer):
        writer.write(request)
        return await reader.read()


async def test_a_page_is_served_to_a_plain_client() -> None:
    async with serving() as port:
        assert await asyncio.to_thread(get, port, "/fine?x=1") == (200, "fine\n")
        assert await asyncio.to_thread(get, port, "/fine", "HEAD") == (200, "")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /none HTTP/1.1\r\n\r\n", HTTPStatus.NOT_FOUND),
        (b"GET /../etc/passwd HTTP/1.1\r\n\r\n", HTTPStatus.NOT_FOUND),
        (b"POST /fine HTTP/1.1\r\nContent-Length: 1\r\n\r\nx", HTTPStatus.METHOD_NOT_ALLOWED),
        (b"GET /fine\r\n\r\n", HTTPStatus.BAD_REQUEST),
        (b"GET /fine HTTP/2\r\n\r\n", HTTPStatus.BAD_REQUEST),
        (b"\x16\x03\x01\x02\x00\x01\xff\r\n\r\n", HTTPStatus.BAD_REQUEST),  # TLS
        (b"\r\n\r\n", HTTPStatus.BAD_REQUEST),
        (b"GET /fine HTTP/1.1\r\nX: " + b"x" * 9000, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE),
        (b"GET /broken HTTP/1.1\r\n\r\n", HTTPStatus.INTERNAL_SERVER_ERROR),
    ],
)
async def test_what_cannot_be_answered_is_refused(request_: bytes, status: HTTPStatus) -> None:
    async with serving() as port:
        answer = await answer_to(port, request_)
        assert answer.startswith(f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode())
        assert b"Connection: close" in answer
        assert await asyncio.to_thread(get, port, "/fine") == (200, "fine\n")


async def test_noise_hurts_nobody() -> None:
    noise = random.Random(6)
    async with serving() as port:
        for _ in range(200):
            answer = await answer_to(port, noise.randbytes(noise.randrange(2000)) + b"\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 400 ")
        assert await asyncio.to_thread(get, port, "/fine") == (200, "fine\n")


async def test_a_caller_who_goes_is_forgotten() -> None:
    async with serving() as port:
        async with calling(port) as (_, writer):
            writer.write(b"GET /fi")
        assert await asyncio.to_thread(get, port, "/fine") == (200, "fine\n")


async def test_a_caller_who_asks_slowly_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "REQUEST_S", 0.1)
    async with serving() as port:
        assert await answer_to(port, b"GET /fine HTTP/1.1\r\n") == b""


async def test_a_caller_who_reads_slowly_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "REQUEST_S", 0.1)
    async with serving() as port, calling(port) as (reader, writer):
        writer.write(b"GET /big HTTP/1.1\r\n\r\n")
        await asyncio.sleep(0.5)
        got = 0
        with suppress(ConnectionError):
            while more := await reader.read(1 << 20):
                got += len(more)
        assert 0 < got < len(BIG.body)


async def test_who_comes_on_top_of_many_is_hung_up_on() -> None:
    async with serving() as port:
        async with AsyncExitStack() as stack:
            for _ in range(callers.MOST):
                await stack.enter_async_context(calling(port))
            assert await answer_to(port, b"") == b""
        while True:
            try:
                assert await asyncio.to_thread(get, port, "/fine") == (200, "fine\n")
                break
            except (ConnectionError, HTTPException):  # they are being forgotten
                await asyncio.sleep(0.01)


async def test_leaving_does_not_wait_for_callers() -> None:
    async with AsyncExitStack() as stack:
        async with asyncio.timeout(2), serving() as port:
            reader, _ = await stack.enter_async_context(calling(port))
            await asyncio.sleep(0.05)
        assert await reader.read() == b""


def test_ipv6_is_listened_at(capsys: pytest.CaptureFixture[str]) -> None:
    if not socket.has_ipv6 or not Path("/proc/net/if_inet6").exists():
        pytest.skip("this machine has no IPv6")
    with opened(Settings(port=free_port(), host="::1")) as listener:
        assert listener
        assert f"http://[::1]:{listener.getsockname()[1]}/metrics" in capsys.readouterr().out


def test_port_0_serves_nothing() -> None:
    with opened(Settings(port=0)) as listener:
        assert listener is None


@pytest.mark.parametrize(
    ("host", "why"),
    [("127.0.0.1", "another program uses it"), ("192.0.2.1", "cannot assign requested address")],
)
def test_a_port_that_cannot_be_had_is_a_warning(
    host: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with opened(Settings(port=port, host=host)) as listener:
            assert listener is None
    said = capsys.readouterr().out
    assert f"metrics are not served at {host} port {port}: {why}" in said
