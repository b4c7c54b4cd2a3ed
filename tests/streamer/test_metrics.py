"""What is counted, and how it is summed up."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.window import FaceWindow
from streamer.config import Engines
from streamer.connection import State, Status
from streamer.ensemble import Ensemble, Panel, Trial, open_ensemble
from streamer.event import WindowSpan
from streamer.metrics import RECENT, Metrics, percentile_99
from tests.streamer.conftest import MakeEvent


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_percentile_is_numpys(values: list[float]) -> None:
    assert percentile_99(values) == np.quantile(values, 0.99, method="inverted_cdf")


def test_percentile_of_nothing_is_none() -> None:
    assert percentile_99([]) is None


def test_events_are_counted_by_camera_phase_trust_and_kind(make_event: MakeEvent) -> None:
    metrics = Metrics(["door", "attic"])
    door, ambient = metrics.cameras["door"], WindowSpan(kind="ambient", start_s=0, end_s=2)
    for event, age_s in (
        (make_event(phase="update", trusted=False), 0.3),
        (make_event(), 0.7),
        (make_event(window=ambient), 40.0),
        (make_event(), -5.0),  # the clock was set back
    ):
        door.put(event, event.time + timedelta(seconds=age_s))
    reading, events = metrics.reading(), "credence_events_total"
    assert reading.total(events, camera="door", phase="final", trusted="true") == 3
    assert reading.total(events, camera="door", phase="update", trusted="false") == 1
    assert reading.total(events, camera="attic") == 0
    windows = reading.by("kind", "credence_windows_total", camera="door")
    assert windows == {"speech": 2, "ambient": 1}
    ages = "credence_event_age_seconds"
    within = reading.by("le", f"{ages}_bucket", camera="door")
    assert (within["0.25"], within["0.5"], within["1.0"], within["60.0"]) == (1, 2, 3, 4)
    assert list(door.ages_s) == pytest.approx([0.3, 0.7, 40.0, 0.0])


def test_only_connections_after_the_first_are_reconnects() -> None:
    door = (metrics := Metrics(["door"])).cameras["door"]

    def reconnects() -> int:
        return metrics.reading().total("credence_reconnects_total")

    def turn(*states: State) -> None:
        for state in states:
            door.turned(Status(state, datetime.now(UTC), state == "streaming"))

    turn("connecting")
    assert not door.tried
    turn("backing_off")
    assert door.tried
    turn("connecting", "streaming", "stalled", "streaming")
    assert reconnects() == 0
    turn("backing_off", "connecting", "streaming")
    assert reconnects() == 1
    assert metrics.reading().total("credence_camera_up", camera="door") == 1


def test_a_camera_is_in_one_state_and_up_while_any_media_comes() -> None:
    door = (metrics := Metrics(["door"])).cameras["door"]
    cases: list[tuple[State, bool]] = [("connecting", False), ("stalled", True), ("stalled", False)]
    for state, online in cases:
        status = Status(state, datetime.now(UTC), online)
        door.turned(status)
        reading = metrics.reading()
        states = reading.by("state", "credence_camera_state", camera="door")
        assert states == {each: int(each == state) for each in get_args(State)}
        assert reading.total("credence_camera_up", camera="door") == online


def test_a_removed_camera_stays_away_though_its_reader_counts_on() -> None:
    door = (metrics := Metrics(["door", "attic"])).cameras["door"]
    metrics.remove("door")
    door.dropped("undecoded")
    door.shed("sampling")
    assert b"attic" in metrics.page()
    assert b"door" not in metrics.page()
    metrics.add("door")
    metrics.cameras["door"].dropped()
    assert metrics.reading().total("credence_media_dropped_total", camera="door") == 1


def test_ages_are_kept_of_the_last_events_alone(make_event: MakeEvent) -> None:
    door, event = Metrics(["door"]).cameras["door"], make_event()
    for number in range(RECENT + 10):
        door.put(event, event.time + timedelta(seconds=number))
    assert (len(door.ages_s), door.ages_s[0]) == (RECENT, 10)


def test_engines_are_timed_and_so_are_those_that_come_later() -> None:
    def calls() -> int:
        return metrics.reading().total("credence_engine_seconds_count", engine="face")

    metrics = Metrics([])

    async def seat(newcomer: Ensemble) -> Trial:
        return panel.seat(newcomer)

    ensemble, newcomer = (open_ensemble(Engines(device="cpu")) for _ in range(2))
    panel = Panel(ensemble)
    panel.wrap(metrics.timed)
    counted = metrics.reading().by("engine", "credence_engine_seconds_count")
    assert counted == {"face": 0, "voice": 0, "text": 0}
    window = FaceWindow(0.0, 1.0, np.zeros((1, 48, 48), np.uint8))
    timed = panel.sitting.engines["face"]
    assert timed.judge(window).belief == pytest.approx(
        ensemble.engines["face"].judge(window).belief
    )
    assert (timed.runtime.name, calls()) == ("onnxruntime cpu", 1)
    new = newcomer.engines["face"]
    engines = {**panel.sitting.engines, "face": new}
    trial = asyncio.run(seat(replace(newcomer, engines=engines)))
    assert trial.unproven == {"face"}  # the others are who they were
    panel.sitting.engines["face"].judge(window)
    assert calls() == 2
