"""The command, as a user runs it: recordings in, events out, and a sentence for what is wrong."""

import asyncio
import io
import json
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import jsonschema
import pytest

from streamer.broker import Broker
from streamer.config import Config, Faces
from streamer.replay import Replay, camera_names, open_replay
from streamer.sinks.jsonl import JsonLines
from streamer.sinks.mqtt import MqttSink
from streamer.source import length_s
from tests.media import CLIPS, YUNET, needs_data, write_media
from tests.streamer.broker import free_port

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "docs/events.schema.json").read_text())
VOLATILE = ("recordedtime",)


def credence(*words: str | Path, limit_s: float = 60) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "streamer.cli", *map(str, words)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=limit_s, cwd=ROOT, check=False
    )


def events(lines: str) -> list[dict[str, object]]:
    found = [json.loads(line) for line in lines.splitlines()]
    for event in found:
        jsonschema.Draft202012Validator(SCHEMA).validate(event)
    return found


def steady(lines: str) -> list[str]:
    """Return the events' bytes without what is documented to differ."""
    return [
        json.dumps({key: value for key, value in json.loads(line).items() if key not in VOLATILE})
        for line in lines.splitlines()
    ]


@pytest.mark.timeout(60)
def test_replay_judges_a_face_and_its_speech(clip: Path) -> None:
    done = credence("replay", clip, "--set", "faces.model=haar")
    found = events(done.stdout)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    judged = [event["data"] for event in found]
    kinds = {data["window"]["kind"] for data in judged}  # type: ignore[index]
    assert kinds == {"speech", "ambient"}
    for data in judged:
        assert data["opinions"]["face"]["present"]  # type: ignore[index]
        assert data["person"] == {"track": 1}  # type: ignore[index]
        assert data["reason"] in {"certified", "below_threshold"}  # type: ignore[index]
        reached = data["confidence"] >= data["threshold"]["confidence"]  # type: ignore[index]
        assert data["trusted"] is reached  # type: ignore[index]
        spoken = data["window"]["kind"] == "speech"  # type: ignore[index]
        assert data["opinions"]["voice"]["present"] is spoken  # type: ignore[index]
        assert data["opinions"]["face"]["quality"]["size_px"] > 40  # type: ignore[index]
        assert ("snr_db" in data["opinions"]["voice"]["quality"]) is spoken  # type: ignore[index]


@pytest.mark.timeout(60)
def test_replay_says_the_same_at_any_speed(short_clip: Path, tmp_path: Path) -> None:
    slowly = ("--speed", "1", "--output", tmp_path / "slow.jsonl")
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(credence, "replay", short_clip, *slowly)
        fast = credence("replay", short_clip, "--speed", "max")
    assert slow.result().stdout == ""
    assert steady(fast.stdout)
    assert steady(fast.stdout) == steady((tmp_path / "slow.jsonl").read_text())


@pytest.mark.timeout(60)
def test_replay_counts_time_from_start(short_clip: Path) -> None:
    done = credence("replay", short_clip, "--start", "2026-11-21T09:00:00+01:00")
    first = events(done.stdout)[0]
    assert str(first["time"]).startswith("2026-11-21T08:00:0")


def write_text(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """Assert that the command refused in plain words, and return them."""
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("credence: ")]
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_replay_refuses_a_missing_file(tmp_path: Path) -> None:
    done = credence("replay", tmp_path / "none.mp4")
    assert "there is no such file" in refused(done)
    assert len(done.stderr.splitlines()) == 1  # before the engines, and what they warn of


def test_replay_refuses_what_is_not_media(tmp_path: Path) -> None:
    path = write_text(tmp_path / "a.mp4", "words, not pictures\n" * 100)
    assert "not a recording" in refused(credence("replay", path))


def test_replay_refuses_an_unknown_key(tmp_path: Path) -> None:
    path = write_text(tmp_path / "c.yaml", "vad:\n  agressiveness: 2\n")
    said = refused(credence("replay", "a.mp4", "--config", path))
    assert "c.yaml:2" in said
    assert "did you mean 'aggressiveness'?" in said


def test_replay_refuses_a_foreign_engine(tmp_path: Path) -> None:
    path = write_media(tmp_path / "a.mp4", seconds=0.2)
    said = refused(credence("replay", path, "--set", f"engines.voice={tmp_path}"))
    assert "engine.json" in said


@pytest.mark.parametrize(
    "words",
    [
        ["--start", "yesterday"],
        ["--start", "0001-01-01T00:00:00+14:00"],
        ["--output", "/nowhere/a.jsonl"],
        ["--output", "/proc/a.jsonl"],
        ["--speed", "7"],
    ],
)
def test_replay_refuses_a_wrong_option(words: Sequence[str]) -> None:
    said = refused(credence("replay", "a.mp4", *words))
    assert said.startswith("credence: Invalid value for ")
    assert words[0] in said
    assert "Value error" not in said


@pytest.mark.timeout(60)
def test_replay_goes_on_after_a_bad_file(short_clip: Path, tmp_path: Path) -> None:
    done = credence("replay", tmp_path / "none.mp4", short_clip)
    assert done.returncode == 2
    assert events(done.stdout)
    assert "there is no such file" in done.stderr


def test_replay_of_nobody_says_so(tmp_path: Path) -> None:
    done = credence("replay", write_media(tmp_path / "noise.mp4", seconds=2))
    assert done.returncode == 0
    assert done.stdout == ""
    assert "nobody is seen or heard" in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
@pytest.mark.timeout(60)
def test_replay_to_a_full_disk_is_one_sentence(short_clip: Path) -> None:
    said = refused(credence("replay", short_clip, "--output", "/dev/full"))
    assert "/dev/full: no more events can be written (no space left on device); make room" in said


@pytest.mark.timeout(60)
@pytest.mark.parametrize("mqtt", [[], ["--mqtt", "mqtt://127.0.0.1:9"]])
def test_replay_into_a_closed_pipe_is_quiet(short_clip: Path, mqtt: list[str]) -> None:
    command = [sys.executable, "-m", "streamer.cli", "replay", str(short_clip), *mqtt]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        assert running.stdout.readline().startswith("{")
        running.stdout.close()
        assert "Traceback" not in running.stderr.read()
    assert running.returncode == 1


def test_replay_never_overwrites_a_recording(tmp_path: Path) -> None:
    path = write_media(tmp_path / "a.mp4", seconds=0.5)
    size = path.stat().st_size
    done = credence("replay", path, "--output", path)
    assert done.returncode == 2
    assert "is one of the recordings" in done.stderr
    assert path.stat().st_size == size


@pytest.fixture(scope="module")
def player() -> Replay:
    return open_replay(Config(faces=Faces(model="haar")))


@pytest.mark.timeout(60)
async def test_run_never_blocks_the_loop(clip: Path, player: Replay) -> None:
    lines = io.StringIO()
    assert await player.run([clip], JsonLines(lines)) == []
    assert len(events(lines.getvalue())) >= 3


@pytest.mark.parametrize("level", ["a/b", "a#", "++", ""])
def test_watch_refuses_what_is_no_topic_level(level: str) -> None:
    done = credence("watch", "--node", level)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "--node" in done.stderr


@pytest.mark.timeout(60)
async def test_replay_says_that_events_wait_for_a_broker(
    tmp_path: Path, player: Replay, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = write_media(tmp_path / "a.mp4", seconds=0.5)
    sink = MqttSink(Broker("127.0.0.1", free_port()), "lab")
    running = asyncio.create_task(player.run([clip], JsonLines(io.StringIO()), sink))
    said = ""
    while "all is judged, but the broker is away; Ctrl-C gives up" not in said:
        await asyncio.sleep(0.05)
        said += capsys.readouterr().out
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


def test_replay_keeps_an_output_that_it_has_nothing_for(tmp_path: Path) -> None:
    output = write_text(tmp_path / "events.jsonl", "precious")
    assert credence("replay", tmp_path / "none.mp4", "--output", output).returncode == 2
    assert output.read_text() == "precious"


def test_replay_of_an_address_says_what_to_do() -> None:
    said = refused(credence("replay", "rtsp://admin:s3cret@127.0.0.1/x"))
    assert "credence run" in said
    assert "s3cret" not in said


def test_replay_names_cameras_for_topics(tmp_path: Path) -> None:
    paths = [Path("a/Front door #1.mp4"), Path("b/Front door #1.mkv"), Path("c/###.mp4")]
    assert camera_names(paths) == ["Front-door-1", "Front-door-1-2", "recording"]


@pytest.mark.timeout(30)
def test_check_says_that_all_is_good(tmp_path: Path) -> None:
    write_media(tmp_path / "door.mp4")
    path = write_text(tmp_path / "c.yaml", "cameras:\n- {name: door, url: door.mp4}\n")
    done = credence("check", path)
    found = "camera door: h264 64x48 at 25/s, aac 16000 Hz"
    assert (done.returncode, done.stdout) == (
        0,
        f"settings, engines and face finder are good\n{found}\n",
    )


@pytest.mark.timeout(60)
def test_what_is_wanted_and_cannot_be_had_is_said(tmp_path: Path) -> None:
    write_media(tmp_path / "door.mp4")
    path = write_text(tmp_path / "c.yaml", "cameras:\n- {name: door, url: door.mp4}\n")
    wanted = ("--set", "engines.device=cuda:99", "--set", "engines.text=none")
    done = credence("check", path, *wanted, "--set", "video.decoder=vaapi")
    assert done.returncode == 0
    assert "vaapi decodes no pictures here, the processor does (" in done.stderr
    for said in (done.stderr, credence("replay", tmp_path / "door.mp4", *wanted).stderr):
        for kind in ("face", "voice"):
            assert f"engine {kind} runs on onnxruntime cpu; not better: there is no " in said


def test_check_names_the_line(tmp_path: Path) -> None:
    path = write_text(tmp_path / "c.yaml", "vad:\n  hangover_s: long\n")
    assert "c.yaml:2" in refused(credence("check", path))


@needs_data
@pytest.mark.timeout(120)
def test_replay_of_shared_clips_sees_every_face() -> None:
    clips = sorted(CLIPS.glob("*.m[p4][g4]"))
    done = credence("replay", *clips, "--set", f"faces.model={YUNET}")
    found = events(done.stdout)
    assert {event["subject"] for event in found} == {path.stem for path in clips}
    present = [event["data"]["opinions"]["face"]["present"] for event in found]  # type: ignore[index]
    assert sum(present) / len(present) >= 0.95


@pytest.mark.timeout(30)
def test_progress_is_told_in_seconds_of_each_recording(tmp_path: Path) -> None:
    files = [write_media(tmp_path / name, seconds=2) for name in ("a.mp4", "b.mp4")]
    told = dict.fromkeys(files, 0.0)

    def advance(file: Path, by_s: float) -> None:
        assert by_s > 0
        told[file] += by_s

    with closing(JsonLines(tmp_path / "out.jsonl")) as lines:
        asyncio.run(open_replay(Config(faces=Faces(model="haar"))).run(files, lines, None, advance))
    assert [length_s(file) for file in files] == pytest.approx([2, 2], abs=0.1)
    assert list(told.values()) == pytest.approx([2, 2], abs=0.2)
