"""The short form of the damaged media, and that what must not be is noticed."""

import sys
from pathlib import Path

import pytest

from tests.chaos import bases, media


@pytest.mark.timeout(120)
def test_no_damaged_recording_or_stream_crashes_hangs_or_shows_a_traceback(tmp_path: Path) -> None:
    outcome = media.run(tmp_path, count=64, seed=1)
    assert outcome.ways == {"replay": 48, "live": 8, "rtsp": 8}
    assert outcome.sentences > 5
    assert outcome.good, "\n".join(outcome.wrong)


PLAYER = """
import ctypes, sys, time
for number in range(int(sys.argv[3]), int(sys.argv[4])):
    print(number, "replay x", flush=True)
    if number == 1:
        ctypes.string_at(0)
    if number == 2:
        time.sleep(60)
    print(number, "=", "BAD error" if number == 3 else "sentence", flush=True)
"""


@pytest.mark.timeout(60)
def test_crashes_hangs_and_tracebacks_are_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "player.py"
    script.write_text(PLAYER)
    monkeypatch.setattr(media, "PLAYER", (sys.executable, str(script)))
    monkeypatch.setattr(media, "_LIMIT_S", 1.0)
    monkeypatch.setattr(bases, "make", lambda _: None)
    outcome = media.run(tmp_path, count=5)
    crash, hang, bad = outcome.wrong
    assert crash.startswith("1 replay x: crashed, exit code -11")
    assert hang.startswith("2 replay x: hung, exit code -9")
    assert bad == "3 replay x: BAD error"
    assert (outcome.sentences, outcome.good) == (2, False)
