"""Events in a store: each once, for as long as configured, and whatever happens to the file."""

import asyncio
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from itertools import repeat
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from streamer.event import EmotionEvent
from streamer.probe import probe_store
from streamer.sinks.fanout import Sinks
from streamer.sinks.store import Store
from streamer.sinks.store_file import Dropped, Keep, StoreError, StoreFile
from streamer.stored import Wanted, stored
from streamer.worker import Worker
from tests.streamer.conftest import MakeEvent

DAY_S = 86_400.0
NOW_S = 1.8e9
MUCH = Keep(age_s=30 * DAY_S, largest_bytes=1_000_000_000)
ALL = Wanted(phase=None)


def found(path: Path) -> list[bytes]:
    with stored(path) as events:
        return list(events.events(ALL))


def written(events: Sequence[EmotionEvent]) -> list[bytes]:
    return [event.model_dump_json().encode() for event in events]


def numbers(path: Path) -> list[int]:
    return [int(EmotionEvent.model_validate_json(event).sequence) for event in found(path)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kept" / "events.sqlite3"


@pytest.fixture
def file(path: Path) -> Iterator[StoreFile]:
    with closing(StoreFile.open(path, MUCH)) as file:
        yield file


def test_events_are_kept_to_the_byte_and_privately(path: Path, make_event: MakeEvent) -> None:
    transcript = {
        "text": "Grüße, 世界",
        "language": "de",
        "translation": None,
        "words": (),
        "avg_logprob": -0.3,
        "no_speech_prob": 0.1,
    }
    events = [make_event(camera, n) for n in range(3) for camera in ("door", "yard")]
    events.append(make_event("zoo", 3, transcript=transcript, person=None, emotion=None))
    with Store.open(path, MUCH) as store:
        for event in reversed(events):
            store.put(event)
    assert found(path) == written(events)
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0


async def test_an_event_that_is_put_never_holds_the_loop(path: Path, make_event: MakeEvent) -> None:
    store = await asyncio.to_thread(Store.open, path, MUCH)
    taken: list[EmotionEvent] = []
    sinks = Sinks(None, None, Worker("output"), store, taken.append)
    await asyncio.to_thread(store.__enter__)
    await sinks.put(make_event())
    await asyncio.to_thread(store.__exit__, None, None, None)
    assert taken == [make_event()]
    assert await asyncio.to_thread(numbers, path) == [0]


def test_an_event_is_kept_once(path: Path, file: StoreFile, make_event: MakeEvent) -> None:
    update, final = make_event(n=0, phase="update"), make_event(n=0)
    again = final.model_copy(update={"sequence": f"{7:020}"})
    elsewhere = final.model_copy(update={"source": "/credence/attic/door"})
    file.write([update, final, final], NOW_S)
    file.write([again, update, elsewhere], NOW_S + 1)
    assert sorted(found(path)) == sorted(written([update, final, elsewhere]))


def test_what_is_too_old_is_deleted(path: Path, make_event: MakeEvent) -> None:
    with closing(StoreFile.open(path, MUCH)) as file:
        file.write([make_event(n=n) for n in range(1200)], NOW_S)
        assert file.write([make_event(n=1200)], NOW_S + 29 * DAY_S) == Dropped()
        dropped = [file.write([], NOW_S + 31 * DAY_S).age for _ in range(4)]
    assert dropped == [500, 500, 200, 0]
    assert numbers(path) == [1200]


def test_what_is_deleted_is_gone_from_the_disk(path: Path, make_event: MakeEvent) -> None:
    with closing(StoreFile.open(path, MUCH)) as file:
        file.write([make_event("a-name-to-look-for", n) for n in range(20)], NOW_S)
        file.write([make_event("another")], NOW_S + 40 * DAY_S)
    assert b"another" in path.read_bytes()
    # The dictionary has the name of the first camera, and nothing else of its event.
    assert path.read_bytes().count(b"a-name-to-look-for") == 3
    assert b"a-name-to-look-for000" not in path.read_bytes()


def test_a_clock_that_is_set_back_makes_nothing_old(path: Path, make_event: MakeEvent) -> None:
    with closing(StoreFile.open(path, MUCH)) as file:
        file.write([make_event(n=0)], NOW_S)
        file.write([make_event(n=1)], 0.0)
        file.write([], NOW_S + 29 * DAY_S)
        assert numbers(path) == [0, 1]
        file.write([], NOW_S + 31 * DAY_S)
        assert numbers(path) == []


def test_a_full_store_deletes_its_oldest(path: Path, make_event: MakeEvent) -> None:
    bound = Keep(age_s=DAY_S, largest_bytes=600_000)
    with closing(StoreFile.open(path, bound)) as file:
        gone = sum(
            file.write([make_event(n=n) for n in range(at, at + 50)], NOW_S + at).size
            for at in range(0, 2000, 50)
        )
    assert 0 < gone < 2000
    assert numbers(path) == list(range(gone, 2000))
    assert path.stat().st_size < 650_000


def test_retention_holds_while_nothing_comes_and_at_the_start(
    path: Path, make_event: MakeEvent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamer.sinks.store._SWEEP_S", 0.01)
    now_s = NOW_S
    with Store.open(path, MUCH, lambda: now_s) as store:
        store.put(make_event())
        wait_until(lambda: len(found(path)) == 1)
        now_s += 31 * DAY_S
        wait_until(lambda: not found(path))


def wait_until(holds: Callable[[], bool], within_s: float = 5.0) -> None:
    for _ in range(round(within_s / 0.01)):
        if holds():
            return
        time.sleep(0.01)
    pytest.fail("it never came true")


def test_a_full_disk_is_said_once_and_counted(path: Path, make_event: MakeEvent) -> None:
    store = Store.open(path, MUCH)
    assert store._file
    db = store._file._db
    store._kept([make_event(n=0)])
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    db.execute(f"PRAGMA max_page_count = {pages}")
    with capture_logs() as logs:
        for at in (100, 200):
            store._kept([make_event(n=n) for n in range(at, at + 100)])
        db.execute("PRAGMA max_page_count = 1000000")
        store._kept([make_event(n=300)])
    store._close()
    assert numbers(path) == [0, 300]
    assert store.lost == {"unwritable": 200, "behind": 0, "size": 0}
    assert [log["event"] for log in logs] == [
        "events are not stored, all else goes on (database or disk is full)",
        "events are stored again",
    ]


def test_a_disk_that_is_full_from_the_start_is_waited_for(
    small_disk: Path, make_event: MakeEvent
) -> None:
    path, ballast = small_disk / "events.sqlite3", small_disk / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass
    with capture_logs() as logs:
        store = Store.open(path, MUCH)
        store._kept([make_event(n=0)])
        store._kept([make_event(n=1)])
        ballast.unlink()
        store._kept([make_event(n=2)])
    store._close()
    assert numbers(path) == [2]
    assert store.lost["unwritable"] == 2
    assert [log["event"].partition(" (")[0] for log in logs] == [
        "events are not stored, all else goes on",
        "events are stored again",
    ]


def test_a_disk_that_stands_still_holds_nobody(path: Path, make_event: MakeEvent) -> None:
    store = Store.open(path, MUCH)  # not entered: nothing is written
    with capture_logs() as logs:
        for event in repeat(make_event(), 8200):
            store.put(event)
    assert store.lost["behind"] == 8
    assert [log["event"] for log in logs] == ["the disk is too slow, events are not stored"]
    store._close()


@pytest.mark.parametrize("garbage", [b"no database", b"SQLite format 3\0" + b"\xff" * 8000])
def test_a_damaged_file_is_moved_aside(path: Path, make_event: MakeEvent, garbage: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(garbage)
    assert not probe_store(path).good
    with capture_logs() as logs, Store.open(path, MUCH) as store:
        store.put(make_event())
    assert path.with_name("events.damaged.sqlite3").read_bytes() == garbage
    assert len(found(path)) == 1
    assert [log["event"].partition(";")[0] for log in logs] == [
        f"{path}: the store is damaged and was moved to events.damaged.sqlite3"
    ]


def test_damage_while_it_runs_costs_no_later_event(path: Path, make_event: MakeEvent) -> None:
    store = Store.open(path, MUCH)
    store._kept([make_event(n=n) for n in range(200)])
    store._close()
    whole = bytearray(path.read_bytes())
    whole[4096 * 6 :] = b"\x5a" * (len(whole) - 4096 * 6)
    path.write_bytes(whole)
    with capture_logs() as logs:
        store._kept([make_event(n=n) for n in range(200, 400)])
    store._close()
    assert numbers(path) == list(range(200, 400))
    assert store.lost["unwritable"] == 0
    assert len(logs) == 1
    assert "was moved to events.damaged.sqlite3" in logs[0]["event"]


def test_who_deletes_the_file_has_a_new_one(path: Path, make_event: MakeEvent) -> None:
    store = Store.open(path, MUCH)
    store._kept([make_event(n=0)])
    for each in path.parent.iterdir():
        each.unlink()
    store._kept([make_event(n=1)])
    store._close()
    assert numbers(path) == [1]


def test_two_may_write_and_one_read(path: Path, make_event: MakeEvent) -> None:
    with (
        closing(StoreFile.open(path, MUCH)) as one,
        closing(StoreFile.open(path, MUCH)) as other,
        stored(path) as reader,
    ):
        one.write([make_event("door", n) for n in range(600)], NOW_S)
        events = reader.events(ALL)
        first = [next(events) for _ in range(10)]
        other.write([make_event("yard", n) for n in range(600, 700)], NOW_S)
        one.write([make_event("door", n) for n in range(600, 700)], NOW_S)
        assert len([*first, *events]) == 800


KILLED = """
import os, signal, sys
from pathlib import Path
from streamer.sinks.store_file import Keep, StoreFile
from tests.streamer.events import event_of
file = StoreFile.open(Path(sys.argv[1]), Keep(1e9, 10**9))
file.write([event_of(n=n) for n in range(50)], 1e9)
file._db.execute("BEGIN IMMEDIATE")
file._put([event_of(n=50)], 10**15)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_node_leaves_a_store_that_can_be_read(path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, path], timeout=20, check=False)
    assert done.returncode == -9
    assert path.with_name(f"{path.name}-wal").stat().st_size
    assert numbers(path) == list(range(50))


def test_what_cannot_be_a_store_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for wrong in (tmp_path, tmp_path / "file" / "below", tmp_path / ("x" * 300)):
        with pytest.raises(StoreError) as caught:
            Store.open(wrong, MUCH)
        assert str(caught.value).endswith("name another store.path")
        assert not probe_store(wrong).good
    later = tmp_path / "later.sqlite3"
    with closing(sqlite3.connect(later)) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="a later version's"):
        Store.open(later, MUCH)


def test_probe_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "new" / "events.sqlite3"
    assert probe_store(path).good
    assert list(tmp_path.iterdir()) == []
