"""`credence events`, from recordings and cameras through a store to tables and files."""

import csv
import io
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from engines.command import run as run_command
from engines.labels import EMOTIONS
from streamer.cli import app
from streamer.event import EmotionEvent
from streamer.history import COLUMNS, comma_separated, show
from streamer.sinks.store_file import Keep, StoreError, StoreFile
from streamer.stored import Wanted, stored
from streamer.times import moment
from tests.streamer.conftest import MakeEvent
from tests.streamer.events import BEGAN, SOON, event_of
from tests.streamer.test_replay import ROOT, credence
from tests.streamer.test_store import wait_until

MUCH = Keep(age_s=1e9, largest_bytes=1_000_000_000)


def kept(path: Path, events: list[EmotionEvent]) -> None:
    with closing(StoreFile.open(path, MUCH)) as file:
        file.write(events, time.time())


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "events.sqlite3"
    emotions = ["anger", "happiness"]
    events = [event_of(c, n, emotion=emotions[n % 2]) for n in range(6) for c in ("door", "yard")]
    random.Random(1).shuffle(events)
    kept(path, events)
    return path


Tell = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def tell(monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Tell:
    """Run `credence events` in this process, which is faster."""

    def tell(store: Path | None, *words: str) -> subprocess.CompletedProcess[str]:
        where = ["--set", f"store.path={store}"] if store else []
        monkeypatch.setattr(sys, "argv", ["credence", "events", *words, *where])
        code = run_command(app, "credence")
        out, err = capfdbinary.readouterr()
        return subprocess.CompletedProcess(words, code, out.decode(), err.decode())

    return tell


@pytest.mark.timeout(60)
def test_what_a_replay_publishes_can_be_asked_for(clip: Path, tmp_path: Path, tell: Tell) -> None:
    path = tmp_path / "events.sqlite3"
    start = ("--start", "2026-11-21T09:00:00Z", "--set", "faces.model=haar")
    done = credence("replay", clip, *start, "--set", f"store.path={path}")
    assert done.returncode == 0
    exported = tell(path, "export")
    assert exported.stdout == done.stdout
    assert len(exported.stdout.splitlines()) > 3
    rows = list(csv.DictReader(io.StringIO(tell(path, "export", "--format", "csv").stdout)))
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["id"] for row in rows] == [event["id"] for event in events]
    assert [row["confidence"] for row in rows] == [str(e["data"]["confidence"]) for e in events]
    lines = tell(path, "query", "--limit", "2")
    assert len(lines.stdout.splitlines()) == 2
    assert lines.stderr == f"the latest 2 of {len(events)}; --limit shows more\n"


@pytest.mark.timeout(60)
def test_run_stores_what_cameras_send(clip: Path, tmp_path: Path) -> None:
    config, path = tmp_path / "c.yaml", tmp_path / "kept.sqlite3"
    camera = {"name": "hall", "url": str(clip)}
    written = {"store": {"path": "kept.sqlite3"}, "metrics": {"port": 0}, "cameras": [camera]}
    config.write_text(
        json.dumps({"node": "lab", "faces": {"model": "haar"}, "windows": SOON, **written})
    )
    checked = credence("check", config)
    assert checked.stdout.splitlines()[-1].endswith("kept.sqlite3: events can be kept there")
    assert not path.exists()
    command = [sys.executable, "-m", "streamer.cli", "run", str(config)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) as node:
        wait_until(lambda: counted(path) > 0, within_s=30)
        before = counted(path)
        node.terminate()
        assert node.wait(10) == 0
    assert counted(path) > before, "its last window is there, too"
    exported = credence("events", "export", "--config", config, "--camera", "hall")
    events = [EmotionEvent.model_validate_json(line) for line in exported.stdout.splitlines()]
    assert {event.source for event in events} == {"/credence/lab/hall"}
    assert len(events) == counted(path)


def counted(path: Path) -> int:
    with suppress(StoreError), stored(path) as events:  # which may not be made yet
        return events.count(Wanted())
    return 0


def test_export_is_csv_that_others_read(make_event: MakeEvent) -> None:
    events = [make_event("a,b", 0), make_event('say "x"', 1, person=None, emotion=None)]
    out = io.BytesIO()
    comma_separated([event.model_dump_json().encode() for event in events], out)
    first, second = csv.DictReader(io.StringIO(out.getvalue().decode()))
    assert tuple(first) == COLUMNS
    assert first == {
        "time": "2026-01-01T00:00:02Z",
        "source": "/credence/lab/a,b",
        "camera": "a,b",
        "sequence": f"{0:020}",
        "id": "a,b000000.final",
        "phase": "final",
        "kind": "speech",
        "start_s": "0.0",
        "end_s": "2.0",
        "person": "1",
        "emotion": "happiness",
        "confidence": "0.9",
        "trusted": "true",
        "reason": "certified",
        "uncertainty": "0.2",
        "conflict": "0.05",
        "modalities": "face",
        **{f"belief_{emotion}": str(round(0.8 / 7, 9)) for emotion in EMOTIONS},
    }
    assert (second["person"], second["emotion"]) == ("", "")


def test_a_terminal_has_a_table(make_event: MakeEvent) -> None:
    events = [make_event(n=0), make_event(n=1, phase="update", trusted=False, reason="uncertified")]
    console = Console(file=io.StringIO(), width=120, record=True, force_terminal=True)
    assert show([event.model_dump_json().encode() for event in events], console) == 2
    head, first, second = console.export_text().splitlines()
    assert head.split() == [
        "UTC",
        "camera",
        "kind",
        "who",
        "emotion",
        "confidence",
        "verdict",
        "u",
        "conflict",
    ]
    assert first.split()[:6] == ["2026-01-01", "00:00:02", "door", "speech", "#1", "happiness"]
    assert second.split()[2:5] == ["door", "(update)", "speech"]


def test_asking_needs_no_password_of_a_camera(store: Path, tmp_path: Path, tell: Tell) -> None:
    config = tmp_path / "node.yaml"
    config.write_text(
        "cameras: [{name: door, url: 'rtsp://viewer:${NOT_SET}@host/x'}]\n"
        "mqtt: {url: mqtt://host, password: '${NOT_SET}'}\n"
    )
    assert tell(store, "query", "-c", str(config)).returncode == 0


def test_filters_of_the_command(store: Path, tell: Tell) -> None:
    exported = tell(store, "export", "--camera", "door", "--emotion", "anger", "--limit", "2")
    chosen = [json.loads(line)["data"]["window_id"] for line in exported.stdout.splitlines()]
    assert chosen == ["door000002", "door000004"]
    span = ("--since", "2026-01-01T00:00:04", "--until", "2026-01-01T01:00:08+01:00")
    lines = tell(store, "query", *span).stdout.splitlines()
    assert [line.split()[1:3] for line in lines] == [
        ["00:00:04", "lab/door"],
        ["00:00:04", "lab/yard"],
        ["00:00:06", "lab/door"],
        ["00:00:06", "lab/yard"],
    ]
    nothing = tell(store, "query", "--since", "1h")
    assert (nothing.stdout, nothing.stderr) == ("", "no stored event is like that\n")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--since", "2 fortnights"), "'2 fortnights' is no time; write how long ago, as in 90m"),
        (("--since", "9999999999999d"), "is no time"),
        (("--until", "2026-13-01"), "'2026-13-01' is no time"),
        (("--since", "1h", "--until", "2h"), "'1h' is not before --until '2h'"),
        (("--emotion", "joy"), "'joy' is none; known are anger, disgust"),
        (("--camera", "a/b"), "--camera"),
        (("--phase", "partial"), "'partial' is not one of"),
        (("--limit", "0"), "--limit"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(
    store: Path, tell: Tell, words: tuple[str, ...], sentence: str
) -> None:
    refused(tell(store, "query", *words), sentence)


def refused(done: subprocess.CompletedProcess[str], sentence: str) -> None:
    assert done.returncode == 2
    assert done.stderr.startswith("credence: ")
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1


def test_no_store_or_none_that_can_be_read_is_one_sentence(
    tmp_path: Path, store: Path, tell: Tell
) -> None:
    refused(tell(None, "query"), "no store is configured; name your settings")
    refused(tell(tmp_path / "none.sqlite3", "query"), "there is no store yet")
    garbage = tmp_path / "garbage.sqlite3"
    garbage.write_bytes(b"x" * 9000)
    refused(tell(garbage, "export"), "this is no store, or a damaged one")
    refused(tell(store, "export", "--output", str(store)), "is the store")
    refused(tell(store, "export", "--output", "/dev/full"), "make room")
    refused(tell(store, "export", "--output", str(tmp_path)), "name another --output")


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_a_reader_who_leaves_ends_it_quietly(tmp_path: Path, form: str) -> None:
    path = tmp_path / "events.sqlite3"
    kept(path, [event_of(n=n) for n in range(300)])
    words = ["events", "export", "--format", form, "--set", f"store.path={path}"]
    pipe = subprocess.PIPE
    command = [sys.executable, "-m", "streamer.cli", *words]
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, cwd=ROOT) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""


CAMERAS = ("door", "yard")
EVENTS = st.lists(
    st.builds(
        lambda camera, n, emotion, trusted, phase: event_of(
            camera, n, emotion=emotion, trusted=trusted, phase=phase
        ),
        st.sampled_from(CAMERAS),
        st.integers(0, 12),
        st.sampled_from([*EMOTIONS[:3], None]),
        st.booleans(),
        st.sampled_from(["update", "final"]),
    ),
    max_size=40,
    unique_by=lambda event: (event.source, event.id),
)
TIMES = st.none() | st.integers(0, 28).map(lambda s: BEGAN + timedelta(seconds=s))
WANTED = st.builds(
    Wanted,
    camera=st.sampled_from([None, *CAMERAS, "zoo"]),
    since=TIMES,
    until=TIMES,
    emotion=st.sampled_from([None, *EMOTIONS[:3]]),
    trusted=st.booleans(),
    phase=st.sampled_from([None, "update", "final"]),
    latest=st.none() | st.integers(1, 50),
)


def like(event: EmotionEvent, wanted: Wanted) -> bool:
    data = event.data
    return (
        wanted.camera in (None, data.camera)
        and (wanted.since is None or event.time >= wanted.since)
        and (wanted.until is None or event.time < wanted.until)
        and wanted.emotion in (None, data.emotion)
        and (data.trusted or not wanted.trusted)
        and wanted.phase in (None, data.phase)
    )


@pytest.mark.timeout(60)
@settings(max_examples=60, deadline=None)
@given(EVENTS, WANTED, st.integers(1, 7))
def test_filters_agree_with_plain_python(
    events: list[EmotionEvent], wanted: Wanted, at_once: int
) -> None:
    order = {(event.source, event.id): at for at, event in enumerate(events)}

    def key(event: EmotionEvent) -> tuple[Any, ...]:
        return event.time, event.data.camera, event.sequence, order[event.source, event.id]

    chosen = sorted((event for event in events if like(event, wanted)), key=key)
    expected = chosen if wanted.latest is None else chosen[-wanted.latest :]
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr("streamer.stored._AT_ONCE", at_once)
        path = Path(folder) / "events.sqlite3"
        kept(path, events)
        with stored(path) as reader:
            found = list(reader.events(wanted))
            assert reader.count(wanted) == len(chosen)
            assert reader.count(replace(wanted, latest=1)) == len(chosen)
    assert found == [event.model_dump_json().encode() for event in expected]


NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("90m", NOW - timedelta(minutes=90)),
        ("1.5h", NOW - timedelta(minutes=90)),
        ("2w", NOW - timedelta(days=14)),
        ("2026-02-28", datetime(2026, 2, 28, tzinfo=UTC)),
        ("2026-02-28T09:00+02:00", datetime(2026, 2, 28, 7, tzinfo=UTC)),
    ],
)
def test_times_as_people_write_them(text: str, time: datetime) -> None:
    assert moment(text, NOW) == time
