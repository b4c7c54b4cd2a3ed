"""How a node takes commands on its own machine: a Unix socket that is its user's alone.

A command is one line of JSON. An empty line comes back at once, and then the answer as another.
"""

import asyncio
import fcntl
import os
import socket
import warnings
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import platformdirs
import structlog

from engines.errors import CredenceError
from streamer import callers

LIMIT: Final = 1 << 16
"""Bytes that a command may have."""
_HEARD: Final = b"\n"
_LINE_S: Final = 5.0
"""A caller must give its command within so long, and a node must have heard it."""
_ANSWER_S: Final = 600.0
"""An answer may take so long: a device's plan may have to be built."""

log = structlog.get_logger()

Handle = Callable[[bytes], Awaitable[bytes]]


class NoPlaceError(CredenceError):
    """There is no folder for sockets that is this user's alone."""


class NoNodeError(CredenceError):
    """Nobody is there to take a command."""

    def __init__(self, node: str | None, others: list[str]) -> None:
        there = f"; there is {', '.join(others)}" if others else "; start one with `credence run`"
        named = f"no node named {node}" if node else "no node"
        super().__init__(f"{named} of this user runs on this machine{there}")


class WhichNodeError(CredenceError):
    """Several nodes run, and none was named."""

    def __init__(self, nodes: list[str]) -> None:
        super().__init__(
            f"several nodes run on this machine; name one by --node: {', '.join(nodes)}"
        )


class NoAnswerError(CredenceError):
    """A node took a command, and did not answer."""

    def __init__(self, node: str, why: str) -> None:
        super().__init__(f"node {node} {why}; see its log")


@dataclass(frozen=True, slots=True, eq=False)
class Claim:
    """A node's name on this machine, and the socket where it listens."""

    listener: socket.socket
    place: Path
    lock: IO[str]
    """Held as long as the process lives: what a dead one left behind is not locked."""

    def close(self) -> None:
        """Give the name back."""
        self.listener.close()
        self.place.unlink(missing_ok=True)
        self.lock.close()


def folder() -> Path:
    """Return where the sockets of this user's nodes lie; raise NoPlaceError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a service without XDG_RUNTIME_DIR: /tmp will do
            return platformdirs.user_runtime_path("credence")
    except PermissionError as error:  # /tmp is anybody's, and somebody was there before
        raise NoPlaceError(str(error)) from error


def _asked_folder() -> Path:
    """Return where sockets are looked for: root may command a service of another user, too."""
    given = os.environ.get("XDG_RUNTIME_DIR")
    if given and os.getuid() == 0 and (there := Path(given) / "credence").is_dir():
        return there
    return folder()


def claim(node: str) -> Claim | None:
    """Begin to listen; None, after a warning, where this cannot be. Blocks."""
    try:
        place = folder() / f"{node}.sock"
        _make_private(place.parent)
        lock = place.with_name(f"{node}.lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return Claim(_listener(place), place, lock)
        except OSError:
            lock.close()
            raise
    except BlockingIOError:
        problem = f"another node named {node} runs on this machine"
    except NoPlaceError as error:
        problem = str(error)
    except OSError as error:
        problem = f"{place}: {(error.strerror or str(error)).lower()}"
    log.warning(f"this node takes no commands, such as `credence reload`: {problem}")
    return None


@contextmanager
def claimed(node: str) -> Iterator[Claim | None]:
    """Claim a name for as long as the context lasts."""
    held = claim(node)
    try:
        yield held
    finally:
        if held:
            held.close()


def _make_private(where: Path) -> None:
    where.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # `parents` come with another mode
    where.mkdir(mode=0o700, exist_ok=True)
    found = where.stat()
    if found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(0, "others may use this folder")


def _listener(place: Path) -> socket.socket:
    place.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.bind(str(place))
        place.chmod(0o600)
        listener.listen()
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


async def serve(listener: socket.socket, handle: Handle) -> None:
    """Answer commands until cancelled. ``handle`` takes and returns a line, and never raises."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _answer(reader, writer, handle)

    await callers.serve(listener, answer, limit=LIMIT, name="command")


async def _answer(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handle: Handle
) -> None:
    try:
        async with asyncio.timeout(_LINE_S):
            line = await _line(reader)
        if line:
            writer.write(_HEARD)
            writer.write(await handle(line) + b"\n")
            await writer.drain()
    except (OSError, TimeoutError):
        pass  # it has gone, or does not say what it wants
    except Exception as error:  # a bug in one command is no reason to end the node
        log.error("a command failed", error=repr(error))  # noqa: TRY400 - a traceback would block


async def _line(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readline()
    except ValueError:  # longer than the limit
        return b"?"


def ask(line: bytes, node: str | None = None) -> bytes:
    """Give a node a command, and return its answer. Blocks.

    Without a name, the one node that runs is meant.
    """
    there = running()
    if node is None and len(there) > 1:
        raise WhichNodeError(there)
    if node is None and there:
        node = there[0]
    if node is None or node not in there:
        raise NoNodeError(node, there)
    with socket.socket(socket.AF_UNIX) as link:
        return _exchanged(link, line, node)


def running() -> list[str]:
    """Return the names of this user's nodes that take commands on this machine, sorted."""
    places = filter(_accepts, _asked_folder().glob("*.sock"))
    return sorted(place.name.removesuffix(".sock") for place in places)


def _accepts(place: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(_LINE_S)  # one that hangs takes nobody
        return link.connect_ex(str(place)) == 0


def _exchanged(link: socket.socket, line: bytes, node: str) -> bytes:
    link.settimeout(_LINE_S)
    answer = b""
    try:
        link.connect(str(_asked_folder() / f"{node}.sock"))
        link.sendall(line + b"\n")
        with link.makefile("rb") as answers:
            if answers.readline() == _HEARD:
                link.settimeout(_ANSWER_S)
                answer = answers.readline()
    except TimeoutError:
        raise NoAnswerError(node, f"has not answered for {link.gettimeout():.0f} s") from None
    except OSError as error:
        raise NoAnswerError(node, f"hung up ({error.strerror})") from None
    if not answer.endswith(b"\n"):
        raise NoAnswerError(node, "ended before it answered")
    return answer
