"""Recordings with their words, as a user runs it: the same again, and only where asked for."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.media import DATA, SMALL_WHISPER

ROOT = Path(__file__).parents[2]
TAKES = DATA / "voice" / "ravdess"
SCHEMA = json.loads((ROOT / "docs/events.schema.json").read_text())
WHISPER = f"transcript.model={SMALL_WHISPER}"
NO_ENGINES = ("engines.face=none", "engines.voice=none", "engines.policy=none")

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.skipif(not TAKES.is_dir(), reason=f"no RAVDESS in {DATA}; set CREDENCE_DATA"),
]


def credence(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "streamer.cli", *map(str, words)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, cwd=ROOT, check=False
    )


def replay(*settings: str, speed: str = "max") -> list[dict[str, Any]]:
    sets = [word for setting in (*NO_ENGINES, *settings) for word in ("--set", setting)]
    take = TAKES / "03-01-05-02-01-01-19.flac"
    done = credence("replay", take, "--speed", speed, *sets)
    assert done.returncode == 0, done.stderr
    assert "talking" not in done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    for event in events:
        jsonschema.Draft202012Validator(SCHEMA).validate(event)
        del event["recordedtime"]
    return events


def test_a_window_of_speech_has_an_update_and_a_final_with_its_words() -> None:
    update, final = (event["data"] for event in replay(WHISPER, "transcript.publish=true"))
    assert (update["phase"], final["phase"]) == ("update", "final")
    assert update["window_id"] == final["window_id"]
    assert update["opinions"]["text"]["reason"] == "pending"
    assert final["opinions"]["text"]["present"]
    assert update["transcript"] is None
    assert final["transcript"]["text"] == "Kids are talking by the door."
    span = final["window"]
    for word in final["transcript"]["words"]:
        assert span["start_s"] <= word["start_s"] <= word["end_s"] <= span["end_s"]


def test_words_are_published_only_where_configured() -> None:
    events = replay(WHISPER)
    assert [event["data"]["transcript"] for event in events] == [None, None]
    assert "talking" not in json.dumps(events)


def test_updates_can_be_switched_off() -> None:
    (final,) = replay(WHISPER, "transcript.updates=false", "transcript.publish=true")
    assert final["id"].endswith(".final")
    assert final["data"]["transcript"]


def test_a_replay_with_words_is_the_same_at_any_speed() -> None:
    settings = (WHISPER, "transcript.publish=true")
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(replay, *settings, speed="1")
        first, again = replay(*settings), replay(*settings)
    assert len(first) == 2
    assert first == again == slow.result()


def test_another_whisper_makes_other_windows() -> None:
    (without,) = replay("transcript.model=none")
    with_words = replay(WHISPER)
    assert without["data"]["transcriber"] is None
    assert without["data"]["opinions"]["text"]["reason"] == "no_transcriber"
    assert without["data"]["window_id"] != with_words[0]["data"]["window_id"]


def test_a_size_that_is_not_fetched_costs_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    take = TAKES / "03-01-05-02-01-01-19.flac"
    sets = [word for setting in (*NO_ENGINES, "faces.model=haar") for word in ("--set", setting)]
    done = credence("replay", take, "--set", "transcript.model=tiny", *sets)
    assert done.returncode == 0
    assert done.stderr.count("credence models fetch whisper-tiny") == 1
    assert len(done.stdout.splitlines()) == 1


def test_without_a_model_nothing_heavy_is_loaded() -> None:
    code = (
        "import sys; from streamer.cli import app\n"
        f"try: app(['replay', {str(TAKES / '03-01-05-02-01-01-19.flac')!r},"
        + "".join(f" '--set', {setting!r}," for setting in NO_ENGINES)
        + " '--output', '/dev/null'])\n"
        "except SystemExit as end: assert not end.code\n"
        "print(set('faster_whisper ctranslate2 tokenizers torch'.split()) & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout.splitlines()[-1] == "set()"


def test_check_refuses_a_folder_that_is_no_whisper(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("transcript: {model: .}\nengines: {face: none, voice: none, policy: none}\n")
    done = credence("check", config)
    assert done.returncode == 2
    assert "no model.bin and no tokenizer.json" in done.stderr
    assert "Traceback" not in done.stderr
