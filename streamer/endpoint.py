"""Pages for monitoring over HTTP: GET alone, and nothing a caller sends can hold the node up."""

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import structlog

from streamer import callers
from streamer.config import Metrics as Settings

HEAD_BYTES: Final = 8192
"""A longer request is refused."""
REQUEST_S: Final = 5.0
"""A caller must have asked within so long, and then have taken the answer within so long."""
PLAIN: Final = "text/plain; charset=utf-8"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Page:
    """An answer."""

    body: bytes
    status: HTTPStatus = HTTPStatus.OK
    kind: str = PLAIN


Pages = Mapping[str, Callable[[], Awaitable[Page]]]
"""What makes each page, by its path."""


@contextmanager
def opened(settings: Settings) -> Iterator[socket.socket | None]:
    """Listen for as long as the context lasts; None where that is switched off or cannot be.

    A node judges on all the same, so that a second one on a machine does.
    """
    listener = _listener(settings.host, settings.port) if settings.port else None
    try:
        yield listener
    finally:
        if listener:
            listener.close()


def _listener(host: str, port: int) -> socket.socket | None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        if error.errno == errno.EADDRINUSE:
            why = "another program uses it, maybe a second node; set metrics.port to one of its own"
        log.warning(f"metrics are not served at {host} port {port}: {why}")
        return None
    listener.setblocking(False)
    shown = f"[{host}]" if family == socket.AF_INET6 else host
    log.info("metrics and health", at=f"http://{shown}:{port}/metrics")
    return listener


async def serve(listener: socket.socket, pages: Pages) -> None:
    """Answer requests until cancelled."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_S):
                request = await _head(reader)
            if request is None:
                return
            page = await _page(request, pages)
            writer.write(_head_of(page) + (b"" if request.startswith(b"HEAD ") else page.body))
            async with asyncio.timeout(REQUEST_S):
                await writer.drain()
        except (OSError, TimeoutError):  # it has gone, or is too slow: what waits is not sent
            writer.transport.abort()

    await callers.serve(listener, answer, limit=HEAD_BYTES, name="page")


async def _head(reader: asyncio.StreamReader) -> bytes | None:
    """Return a request up to its empty line, nothing when it is too long, None when it ended."""
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        return b""
    except asyncio.IncompleteReadError:
        return None


async def _page(request: bytes, pages: Pages) -> Page:
    match request.partition(b"\r\n")[0].split(b" "):
        case [b"GET" | b"HEAD", target, version] if version.startswith(b"HTTP/1."):
            make = pages.get(target.partition(b"?")[0].decode("latin-1"))
        case [_, _, version] if version.startswith(b"HTTP/1."):
            return _refused(HTTPStatus.METHOD_NOT_ALLOWED, "only GET is answered here")
        case _ if not request:
            return _refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "this request is too long")
        case _:
            return _refused(HTTPStatus.BAD_REQUEST, "this is no HTTP request")
    if make is None:
        return _refused(HTTPStatus.NOT_FOUND, f"there are: {' '.join(pages)}")
    try:
        return await make()
    except Exception as error:  # a bug in a page is no reason to end the node
        log.error("a page failed", error=repr(error))  # noqa: TRY400 - a traceback would block
        return _refused(HTTPStatus.INTERNAL_SERVER_ERROR, "see the node's log")


def _refused(status: HTTPStatus, why: str) -> Page:
    return Page(f"{why}\n".encode(), status)


def _head_of(page: Page) -> bytes:
    lines = (
        f"HTTP/1.1 {page.status.value} {page.status.phrase}",
        f"Content-Type: {page.kind}",
        f"Content-Length: {len(page.body)}",
        "Cache-Control: no-store",
        *(["Allow: GET, HEAD"] if page.status == HTTPStatus.METHOD_NOT_ALLOWED else []),
        "Connection: close",
    )
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode("ascii")
