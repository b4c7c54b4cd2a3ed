"""Bundles that tell several emotions: which are taken, at start and by a swap, and a replay."""

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines.engine import BUNDLES
from engines.errors import CredenceError
from engines.labels import EMOTIONS
from engines.window import SequenceWindow
from streamer.config import Config, Engines, Recognition
from streamer.ensemble import Panel, open_ensemble
from streamer.metrics import Metrics
from streamer.replay import open_replay
from streamer.swap import Wanted, opened
from tests.engines.bundle import write_bundle
from tests.media import CLIPS, YUNET, needs_data
from tests.streamer.bundles import multilabel_for, variant
from tests.streamer.test_ensemble import judge, seen
from tests.streamer.test_node import Events
from tests.streamer.test_replay import credence, events, refused, write_text
from tests.streamer.test_swap import answered

SHIPPED = BUNDLES / "multilabel"


@pytest.fixture
def panel(tmp_path: Path) -> Panel:
    multilabel_for(tmp_path / "several")
    settings = Engines(multilabel=str(tmp_path / "several"))
    return Panel(open_ensemble(settings, multilabel=True))


def test_it_is_opened_where_it_is_asked_for(panel: Panel, tmp_path: Path) -> None:
    assert list(panel.sitting.hashes) == ["face", "voice", "text", "multilabel"]
    assert "multilabel" not in open_ensemble(Engines(multilabel=str(tmp_path))).hashes
    fewer = Engines(voice="none", text="none", multilabel=str(tmp_path / "several"))
    assert set(open_ensemble(fewer, multilabel=True).hashes) == {"face", "multilabel"}


def test_what_does_not_fit_is_refused_in_a_sentence(tmp_path: Path) -> None:
    multilabel_for(tmp_path / "foreign", voice="0" * 16)
    write_bundle(tmp_path / "face")
    for name, why in {
        "foreign": "this multilabel engine was trained on voice engine 0000000000000000, not",
        "face": "this is a face bundle, where multilabel is wanted",
        "nowhere": "no readable engine.json",
        "none": "no readable engine.json",
    }.items():
        with pytest.raises(CredenceError, match=f"{name}: {why}") as caught:
            open_ensemble(Engines(multilabel=str(tmp_path / name)), multilabel=True)
        assert "\n" not in str(caught.value)


def test_none_tells_nothing_of_several_emotions() -> None:
    assert "multilabel" not in open_ensemble(Engines(multilabel="none")).hashes
    with pytest.raises(CredenceError, match=r"or set recognition\.multilabel to false"):
        open_ensemble(Engines(multilabel="none"), multilabel=True)


def test_check_says_that_there_is_none(tmp_path: Path) -> None:
    config = write_text(
        tmp_path / "c.yaml",
        "recognition: {multilabel: true}\nengines: {multilabel: several}\n"
        "cameras:\n- {name: door, url: door.mp4}\n",
    )
    assert "several: no readable engine.json; name a folder" in refused(credence("check", config))


async def test_new_engines_need_one_that_was_trained_on_them(panel: Panel, tmp_path: Path) -> None:
    old = panel.sitting
    face = await asyncio.to_thread(variant, tmp_path / "face", "face", name="other")
    alone = await answered(panel, face=tmp_path / "face", policy="none")
    assert (alone.outcome, panel.sitting) == ("refused", old)
    assert alone.sentence == (
        "the multilabel engine that runs was trained on face engine "
        f"{old.hashes['face']}, not {face}; also give a multilabel engine trained on it,"
        " or none to go without; nothing was swapped"
    )
    fits = await asyncio.to_thread(multilabel_for, tmp_path / "fits", face=face)
    wanted: dict[str, Any] = {"face": tmp_path / "face", "multilabel": tmp_path / "fits"}
    both = await answered(panel, **wanted, policy="none")
    assert (both.outcome, both.now.engines) == (
        "on trial",
        {**old.hashes, "face": face, "multilabel": fits},
    )
    (judged,) = await judge(panel, seen())
    assert judged.emotions
    wrong = await answered(panel, face="shipped", multilabel=tmp_path / "fits")
    assert wrong.sentence.startswith(f"fits was trained on face engine {face}, not ")
    without = await answered(panel, face="shipped", multilabel="none", policy="shipped")
    assert without.outcome == "on trial"
    assert "multilabel" not in without.now.engines


def test_its_calls_are_timed_as_those_of_others(panel: Panel) -> None:
    metrics, window = Metrics([]), SequenceWindow({"voice": np.ones((19, 128), np.float32)})
    timed = metrics.timed(panel.sitting)
    assert timed.multilabel
    assert metrics.timed(timed).multilabel is timed.multilabel
    timed.multilabel.answers([window, window])
    counted = metrics.reading().by("engine", "credence_engine_seconds_count")
    assert counted == {"face": 0, "voice": 0, "text": 0, "multilabel": 1}


async def test_it_may_begin_where_it_did_not_run(panel: Panel, tmp_path: Path) -> None:
    plain = await asyncio.to_thread(open_ensemble, Engines())
    wanted = Wanted(multilabel=str(tmp_path / "several"))
    new = await asyncio.to_thread(opened, plain, wanted)
    assert new.hashes == panel.sitting.hashes
    assert new.policy is plain.policy
    same = await asyncio.to_thread(opened, new, wanted)
    assert same.multilabel is new.multilabel  # not opened again


@pytest.mark.timeout(120)
async def test_replay_tells_several_emotions_and_changes_nothing_else(
    short_clip: Path, tmp_path: Path
) -> None:
    bundle = "shipped"
    if not SHIPPED.exists():
        bundle = str(tmp_path / "several")
        await asyncio.to_thread(multilabel_for, tmp_path / "several")
    engines, said = Engines(multilabel=bundle), []
    for wanted in (True, False):
        config = Config(engines=engines, recognition=Recognition(multilabel=wanted), node="attic")
        player = await asyncio.to_thread(open_replay, config)
        found = Events()
        await player.run([short_clip], found)
        said.append([json.loads(event.model_dump_json()) for event in found.all])
    told, plain = said
    assert told
    assert [without(event) for event in told] == [without(event) for event in plain]
    assert not any("emotions" in event["data"] for event in plain)
    for event in told:
        assert_tells(event)


@needs_data
@pytest.mark.skipif(not SHIPPED.exists(), reason="no multilabel engine ships")
@pytest.mark.timeout(300)
def test_replay_of_shared_clips_tells_several_emotions() -> None:
    clips = sorted(CLIPS.glob("*.m[p4][g4]"))
    settings = ("--set", f"faces.model={YUNET}", "--set", "recognition.multilabel=true")
    done = credence("replay", *clips, *settings, limit_s=240)
    found: list[Any] = events(done.stdout)
    assert {event["subject"] for event in found} == {path.stem for path in clips}
    for event in found:
        assert_tells(event)


def without(event: dict[str, Any]) -> dict[str, Any]:
    """Return what an event would be without several emotions, but for ids and wall clock."""
    data = {key: value for key, value in event["data"].items() if key != "emotions"}
    engines = {kind: each for kind, each in data["engines"].items() if kind != "multilabel"}
    data |= {"engines": engines, "window_id": ""}
    return event | {"id": "", "recordedtime": "", "data": data}


def assert_tells(event: dict[str, Any]) -> None:
    several = event["data"]["emotions"]
    assert sorted(each["label"] for each in several) == list(EMOTIONS)
    order = [each["probability"] for each in several]
    assert order == sorted(order, reverse=True)
    assert "multilabel" in event["data"]["engines"]
