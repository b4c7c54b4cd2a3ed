"""A spool's file that is torn, damaged, of another node or of a later version."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from streamer.sinks.spool import Spool
from streamer.sinks.spool_store import Bounds, SpoolError
from tests.streamer.conftest import MakeEvent
from tests.streamer.test_spool import Open, clock, opened, reopen, taken

__all__ = ["clock", "reopen"]


@pytest.mark.parametrize("part", ["event", "-wal"])
async def test_torn_write_costs_no_earlier_event(
    reopen: Open, make_event: MakeEvent, tmp_path: Path, part: str
) -> None:
    spool = await reopen()
    for n in range(3):
        await spool.put(make_event(n=n))
    wal, file = tmp_path / "spool.sqlite3-wal", tmp_path / "spool.sqlite3"
    before = wal.stat().st_size
    await spool.put(make_event(n=3))
    torn = tmp_path / "torn" / "spool.sqlite3"
    torn.parent.mkdir()
    torn.write_bytes(file.read_bytes())
    written = wal.read_bytes()
    half = (before + len(written)) // 2
    noise = b"\xa5" * (len(written) - half) if part == "event" else b""
    torn.with_name(wal.name).write_bytes(written[:half] + noise)
    async with opened(torn) as again:
        assert await taken(again) == [("door", n) for n in range(3)]


@pytest.mark.parametrize("garbage", [b"no database", b"SQLite format 3\0" + b"\xff" * 8000])
async def test_damaged_file_is_moved_aside(
    tmp_path: Path, make_event: MakeEvent, garbage: bytes
) -> None:
    path = tmp_path / "spool.sqlite3"
    path.write_bytes(garbage)
    with capture_logs() as logs:
        async with opened(path) as spool:
            await spool.put(make_event())
            assert len(spool) == 1
            beyond = spool.next_sequence("yard")
    assert (tmp_path / "spool.damaged.sqlite3").read_bytes() == garbage
    assert [log["event"].partition(";")[0] for log in logs] == [
        f"{path}: the spool is damaged and was moved to spool.damaged.sqlite3"
    ]
    assert beyond > 1_700_000_000_000
    assert path.stat().st_mode & 0o077 == 0
    async with opened(path) as again:
        assert (len(again), again.next_sequence("yard")) == (1, beyond)


async def test_damaged_page_is_found(tmp_path: Path, make_event: MakeEvent) -> None:
    path = tmp_path / "spool.sqlite3"
    async with opened(path) as spool:
        for n in range(20):
            await spool.put(make_event(n=n))
    whole = bytearray(path.read_bytes())
    whole[4096:] = b"\x5a" * (len(whole) - 4096)
    path.write_bytes(whole)
    async with opened(path) as spool:
        assert len(spool) == 0
    assert (tmp_path / "spool.damaged.sqlite3").exists()


def test_second_node_on_a_spool_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite3"
    with Spool.open(path, Bounds()), pytest.raises(SpoolError) as caught:
        Spool.open(path, Bounds())
    assert str(caught.value) == (
        f"{path}: no events can be kept there (another node uses it); "
        "give each its own spool.folder or node"
    )


def test_spool_of_a_later_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite3"
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(SpoolError, match="it is a later version's"):
        Spool.open(path, Bounds())


def test_folder_that_cannot_be_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in ("file", "file/below", "x" * 300):
        with pytest.raises(SpoolError) as caught:
            Spool.open(tmp_path / folder / "spool.sqlite3", Bounds())
        assert str(caught.value).endswith("name another spool.folder")
