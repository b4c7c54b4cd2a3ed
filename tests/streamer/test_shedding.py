"""What is left out where a node falls behind: in order, not to and fro, counted, and said."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from engines.window import FACE_PX, FaceWindow, VoiceWindow
from streamer.flow import Epoch, Window
from streamer.metrics import Metrics
from streamer.shedding import Ladder, Level, Relief, Shedding

EPOCH = Epoch("e-0", datetime(2026, 1, 1, tzinfo=UTC), has_video=True, has_audio=True)
FACE = FaceWindow(0.0, 2.0, np.zeros((1, FACE_PX, FACE_PX), np.uint8), np.ones(1, np.float32), None)
VOICE = VoiceWindow(0.0, np.zeros(16_000, np.float32))

steps = st.lists(st.tuples(st.floats(0.01, 30.0), st.floats(0.0, 5.0)), max_size=200)


def climb(ladder: Ladder, levels: Iterable[tuple[float, float]]) -> list[tuple[float, Level]]:
    """Feed waits and how far behind it is after each; return when it came to which level."""
    now_s, changes = 0.0, [(float("-inf"), ladder.level)]
    for wait_s, behind_s in levels:
        now_s += wait_s
        if ladder.take(behind_s, now_s):
            changes.append((now_s, ladder.level))
    return changes


@given(steps)
def test_levels_go_down_one_at_a_time_and_never_to_and_fro_within_ten_seconds(
    fed: list[tuple[float, float]],
) -> None:
    changes = climb(Ladder(), fed)
    for (before_s, before), (at_s, after) in pairwise(changes):
        assert after > before or after == before - 1
        assert after > before or at_s - before_s >= 10.0


@given(steps)
def test_who_keeps_up_long_enough_leaves_out_nothing(fed: list[tuple[float, float]]) -> None:
    ladder = Ladder()
    climb(ladder, fed)
    climb(ladder, [(1.0, 0.0)] * 2000)
    assert ladder.level is Level.NOTHING


@given(st.floats(0.41, 5.0))
def test_who_stays_behind_leaves_out_all_within_a_second_and_a_half(behind_s: float) -> None:
    changes = climb(Ladder(), [(0.05, behind_s)] * 40)
    levels = [level for _, level in changes]
    assert levels == sorted(set(levels))
    assert levels[-1] is Level.MEDIA
    assert changes[-1][0] - 0.05 <= 1.51


def test_who_is_asked_seldom_goes_up_as_fast() -> None:
    changes = climb(Ladder(), [(0.7, 0.5)] * 3)
    assert [level for _, level in changes[1:]] == [Level.QUARTER, Level.MEDIA]


def test_what_was_long_ago_is_no_reason() -> None:
    assert climb(Ladder(), [(0.05, 2.0), (3600.0, 2.0)])[1:] == []


def test_a_moment_behind_changes_nothing() -> None:
    assert climb(Ladder(), [(0.05, 0.0), (0.05, 2.0), (0.05, 0.1)] * 20)[1:] == []


def test_a_step_down_that_was_too_soon_is_tried_half_as_often() -> None:
    ladder, now_s, rests_s = Ladder(), 0.0, []

    def until_changed(behind_s: float) -> float:
        nonlocal now_s
        began_s = now_s
        while not ladder.take(behind_s, now_s):
            now_s += 0.1
        return now_s - began_s

    until_changed(0.5)
    for _ in range(7):
        rests_s.append(until_changed(0.0))
        until_changed(0.5)
    assert rests_s == pytest.approx([10, 20, 40, 80, 160, 300, 300], abs=0.11)
    until_changed(0.0)
    assert not any(ladder.take(0.0, now_s + second) for second in range(301))
    until_changed(0.5)
    assert until_changed(0.0) == pytest.approx(10, abs=0.11)


def test_a_node_is_as_late_as_half_of_its_cameras() -> None:
    shedding, now_s = Shedding(), 0.0
    with capture_logs() as logs:
        for _ in range(100):
            now_s += 0.1
            for camera, late_s in {"a": 0.1, "b": 0.1, "poor": 9.0}.items():
                shedding.took(camera, late_s, now_s)
        assert int(shedding.level) == 0
        for _ in range(4):
            now_s += 0.1
            for camera, late_s in {"a": 0.1, "b": 0.6, "poor": 9.0}.items():
                shedding.took(camera, late_s, now_s)
    assert int(shedding.level) == 1
    [said] = logs
    assert said["log_level"] == "warning"
    assert "falls behind" in said["event"]
    assert "windows in which nobody speaks" in said["event"]


def test_a_camera_that_is_gone_tells_nothing() -> None:
    shedding = Shedding()
    shedding.took("gone", 9.0, 0.0)
    shedding.gone("gone")
    shedding.took("stale", 9.0, 0.0)
    for now_s in np.arange(3.0, 13.0, 0.1):
        shedding.took("well", 0.0, float(now_s))
    assert int(shedding.level) == 0


class At(Shedding):
    """A node that leaves out so much, whatever comes."""

    def __init__(self, level: Level) -> None:
        super().__init__()
        self._fixed = level

    @property
    def level(self) -> Level:
        return self._fixed


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(["door"])


async def passed(
    metrics: Metrics, level: Level, windows: list[Window], *, words: bool
) -> list[Window]:
    async def given() -> AsyncIterator[Window]:
        for window in windows:
            yield window

    relief = Relief(metrics.cameras["door"], At(level))
    return [window async for window in relief.windows(given(), words=words)]


async def counts(metrics: Metrics) -> dict[str, int]:
    reading = await asyncio.to_thread(metrics.reading)
    return reading.by("reason", "credence_shed_total", camera="door")


def ambient(number: int, track: int = 1) -> Window:
    return Window(EPOCH, "ambient", 2.0 * number, 2.0 * number + 2, track, FACE)


SPEECH = Window(EPOCH, "speech", 0.0, 1.0, 1, FACE, VOICE)


async def test_one_in_four_stretches_without_speech_is_judged_with_all_in_view(
    metrics: Metrics,
) -> None:
    windows = [ambient(number, track) for number in range(8) for track in (1, 2)]
    kept = await passed(metrics, Level.AMBIENT, [SPEECH, *windows], words=True)
    assert kept == [SPEECH, *(window for window in windows if window.start_s in (6.0, 14.0))]
    assert await counts(metrics) == {"ambient": 12, "sampling": 0, "transcript": 0}
    assert await passed(metrics, Level.NOTHING, windows, words=True) == windows


async def test_transcripts_go_before_media_and_windows_say_so(metrics: Metrics) -> None:
    kept = await passed(metrics, Level.TRANSCRIPTS, [SPEECH], words=True)
    assert [window.absent for window in kept] == [{"text": "overload"}]
    assert (await counts(metrics))["transcript"] == 1
    assert await passed(metrics, Level.QUARTER, [SPEECH], words=True) == [SPEECH]


async def test_where_nothing_is_transcribed_nothing_of_it_is_left_out(metrics: Metrics) -> None:
    windows = [SPEECH, replace(SPEECH, voice=None)]
    assert await passed(metrics, Level.MEDIA, windows, words=False) == windows


@pytest.mark.parametrize(
    ("level", "one_in", "skips"),
    [(0, 1, False), (1, 1, False), (2, 2, False), (3, 4, False), (4, 4, False), (5, 4, True)],
)
def test_each_level_leaves_out_what_those_before_it_do(
    metrics: Metrics, level: int, one_in: int, skips: bool
) -> None:
    relief = Relief(metrics.cameras["door"], At(Level(level)))
    assert (relief.one_in, relief.skips) == (one_in, skips)
