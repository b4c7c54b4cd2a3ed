"""A node's control socket: one line in, one line out, and every caller is told in a sentence."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from streamer import control
from streamer.control import (
    NoAnswerError,
    NoNodeError,
    NoPlaceError,
    WhichNodeError,
    ask,
    claim,
    claimed,
    serve,
)

ROOT = Path(__file__).parents[2]


async def shout(line: bytes) -> bytes:
    return line.strip().upper()


@asynccontextmanager
async def listening(node: str, handle: control.Handle = shout) -> AsyncIterator[control.Claim]:
    """A node that answers; its loop is this test's."""
    held = await asyncio.to_thread(claim, node)
    assert held
    task = asyncio.create_task(serve(held.listener, handle))
    try:
        yield held
    finally:
        task.cancel()
        await asyncio.wait([task])
        await asyncio.to_thread(held.close)


def told(*words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "streamer.cli", "engines", "swap", *words]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, cwd=ROOT, timeout=20
    )


async def test_a_line_is_answered_by_a_line() -> None:
    async with listening("attic") as held:
        assert await asyncio.to_thread(ask, b"hello", "attic") == b"HELLO\n"
        assert await asyncio.to_thread(ask, b"again") == b"AGAIN\n"
        assert held.place.stat().st_mode & 0o777 == 0o600
        assert held.place.parent.stat().st_mode & 0o777 == 0o700
    assert not held.place.exists()


async def test_without_a_name_the_only_node_is_meant() -> None:
    async with listening("attic"), listening("cellar"):
        with pytest.raises(WhichNodeError, match="name one by --node: attic, cellar"):
            await asyncio.to_thread(ask, b"hello")
        with pytest.raises(NoNodeError, match=r"no node named roof .*; there is attic, cellar"):
            await asyncio.to_thread(ask, b"hello", "roof")


def test_nobody_is_there() -> None:
    with pytest.raises(
        NoNodeError, match=r"no node of this user runs .*; start one with `credence"
    ):
        ask(b"hello")
    with pytest.raises(NoNodeError, match="no node named attic of this user runs"):
        ask(b"hello", "attic")


async def test_a_dead_nodes_socket_is_replaced(runtime: Path) -> None:
    place = runtime / "credence" / "attic.sock"
    place.parent.mkdir(mode=0o700)
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(place))
    dead.close()  # what it was bound to stays
    with pytest.raises(NoNodeError):
        await asyncio.to_thread(ask, b"hello", "attic")
    async with listening("attic"):
        assert await asyncio.to_thread(ask, b"hello", "attic") == b"HELLO\n"


@pytest.mark.skipif(os.getuid() != 0, reason="root alone may command another user's service")
async def test_root_commands_a_service_of_another_user(
    runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with listening("lone"):
        await asyncio.to_thread(
            runtime.chmod, 0o755
        )  # what root does not own is passed over in the same way
        assert await asyncio.to_thread(ask, b"hello", "lone") == b"HELLO\n"
        monkeypatch.setattr("os.getuid", lambda: 1000)
        with pytest.raises(NoNodeError):
            await asyncio.to_thread(ask, b"hello", "lone")


async def test_a_runtime_folder_that_is_made_is_this_users_alone(
    runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime / "new"))
    async with listening("attic"):
        assert (runtime / "new").stat().st_mode & 0o777 == 0o700
        assert await asyncio.to_thread(ask, b"hello", "attic") == b"HELLO\n"


def test_a_second_node_of_that_name_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with claimed("attic") as first, claimed("attic") as second:
        assert first
        assert second is None
        assert first.place.exists()
    assert "another node named attic runs on this machine" in capsys.readouterr().out


def test_a_folder_that_others_may_use_is_refused(
    runtime: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (runtime / "credence").mkdir()
    (runtime / "credence").chmod(0o755)
    assert claim("attic") is None
    assert "others may use this folder" in capsys.readouterr().out


def test_a_machine_with_no_place_for_sockets_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(_: str) -> Path:
        raise PermissionError("/tmp/runtime-0 is a symlink; set XDG_RUNTIME_DIR instead")

    monkeypatch.setattr("streamer.control.platformdirs.user_runtime_path", refused)
    assert claim("attic") is None
    assert "is a symlink; set XDG_RUNTIME_DIR instead" in capsys.readouterr().out
    with pytest.raises(NoPlaceError, match="is a symlink; set XDG"):
        ask(b"hello")


def test_a_name_that_is_too_long_for_a_socket_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert claim("a" * 100) is None
    assert "too long" in capsys.readouterr().out


async def test_who_says_nothing_too_much_or_half_a_line_disturbs_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(control, "_LINE_S", 0.05)
    async with listening("attic") as held:

        async def said(data: bytes) -> bytes:
            reader, writer = await asyncio.open_unix_connection(held.place)
            writer.write(data)
            try:
                return await reader.read()
            except ConnectionError:
                return b""
            finally:
                writer.close()

        assert await said(b"") == b""
        assert await said(b"half") == b""
        assert await said(b"x" * (control.LIMIT + 1)) in (b"\n?\n", b"")
        assert await asyncio.to_thread(ask, b"hello", "attic") == b"HELLO\n"


@pytest.mark.parametrize("error", [ConnectionError(), RuntimeError("a bug")])
async def test_a_node_that_does_not_answer_is_said_and_goes_on(error: Exception) -> None:
    async def fails_once(line: bytes) -> bytes:
        if line == b"fail\n":
            raise error
        return line.strip()

    async with listening("attic", fails_once):
        with pytest.raises(NoAnswerError, match="node attic ended before it answered; see its log"):
            await asyncio.to_thread(ask, b"fail", "attic")
        assert await asyncio.to_thread(ask, b"hello", "attic") == b"hello\n"


def test_the_command_says_in_a_sentence_what_is_wrong() -> None:
    nobody, nothing = told(), told("--face", "nowhere")
    assert (nobody.returncode, nothing.returncode) == (2, 2)
    assert nobody.stderr == (
        "credence: no node of this user runs on this machine; start one with `credence run`\n"
    )
    assert "nowhere: there is no such folder; name one, shipped or none" in nothing.stderr
    assert len(nothing.stderr.splitlines()) == 1


def test_ask_does_not_wait_for_a_node_that_hangs(
    runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "_LINE_S", 0.1)
    with claimed("attic"), pytest.raises(NoAnswerError, match="node attic has not answered for"):
        ask(b"x")
