"""Several emotions: asked about what the engines make of a window, and never at an event's cost."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import jsonschema
import numpy as np
import pytest

from engines.labels import EMOTIONS
from engines.manifest import Modality
from engines.multilabel import Emotions
from streamer.batching import Batcher
from streamer.ensemble import Ensemble, Panel
from streamer.event import EmotionEvent
from streamer.flow import Judged, Recognised, Window
from streamer.fuse import fuse
from streamer.metrics import Metrics
from streamer.recognise import recognise
from streamer.worker import Worker
from tests.streamer.ensembles import FakeMultilabel, ensemble_of
from tests.streamer.test_announce import SCHEMA, announcer
from tests.streamer.test_announce import judged as announced
from tests.streamer.test_ensemble import judge, seen, spoken
from tests.streamer.test_transcribe import heard

ALL: dict[Modality, Any] = {"face": "f1", "voice": "v1", "text": "t1"}


def saying(words: str) -> Window:
    settled: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    settled.set_result(heard(words) if words else "no_speech")
    return spoken(settled)


async def events(judged: list[Recognised]) -> list[EmotionEvent]:
    async def stream() -> AsyncIterator[Recognised]:
        for each in judged:
            yield each

    maker = announcer()
    return [maker.event(each) async for each in fuse(stream())]


async def test_face_and_voice_are_asked_about_and_again_with_the_words() -> None:
    engine = FakeMultilabel()
    update, final = await judge(Panel(ensemble_of(ALL, multilabel=engine)), saying("yes"))
    assert [set(window.sequences) for window in engine.given] == [
        {"face", "voice"},
        {"face", "voice", "text"},
    ]
    assert [each.emotions and each.emotions.shown.sum() for each in (update, final)] == [2, 3]


async def test_without_words_the_final_shows_what_the_update_did() -> None:
    engine = FakeMultilabel()
    update, final = await judge(Panel(ensemble_of(ALL, multilabel=engine)), saying(""))
    assert (final.phase, len(engine.given)) == ("final", 1)
    assert final.emotions is update.emotions is not None


async def test_who_judges_the_words_instead_is_asked_about_all_of_the_window() -> None:
    engine = FakeMultilabel("m1")
    old, new = (
        ensemble_of(ALL, multilabel=engine),
        ensemble_of({**ALL, "text": broken()}, multilabel=FakeMultilabel("m2")),
    )
    _, final = await judge(Panel(old), new, saying("yes"))
    assert final.ensemble is old
    assert set(engine.given[-1].sequences) == {"face", "voice", "text"}


def broken() -> Any:
    def fail(_: object) -> None:
        raise RuntimeError("t2 is broken")

    return SimpleNamespace(hash="t2", answers=fail)


async def test_where_it_is_off_nothing_is_kept_and_the_event_is_what_it_was() -> None:
    for each in await judge(Panel(ensemble_of(ALL)), saying("yes")):
        assert (each.sequences, each.emotions) == ({}, None)
    wire = announcer().event(announced({})).model_dump_json()
    assert hashlib.sha256(wire.encode()).hexdigest() == OFF
    assert EmotionEvent.model_validate_json(wire).model_dump_json() == wire


OFF = "041894ede216fe66388106d508661f1500bfb0423312e43bfdaa4088ed3a4636"
"""SHA-256 of this event before there were several emotions."""


async def test_events_hold_all_emotions_the_most_probable_first() -> None:
    ensemble = ensemble_of(ALL, multilabel=FakeMultilabel())
    for event, shown in zip(
        await events(await judge(Panel(ensemble), seen(), saying("yes"))), (1, 2, 3), strict=True
    ):
        wire = json.loads(event.model_dump_json())
        jsonschema.Draft202012Validator(SCHEMA).validate(wire)
        found = wire["data"]["emotions"]
        assert [each["label"] for each in found] == list(EMOTIONS)
        assert found[1] == {
            "label": EMOTIONS[1],
            "probability": 0.8,
            "spread": 0.01,
            "shown": shown > 1,
        }
        assert [each["shown"] for each in found].count(True) == shown
        assert wire["data"]["engines"] == {
            "face": "f1",
            "voice": "v1",
            "text": "t1",
            "multilabel": "m1",
        }
        assert EmotionEvent.model_validate_json(event.model_dump_json()) == event


def with_several(ensemble: Ensemble, engine: Any) -> Ensemble:
    return replace(ensemble, multilabel=engine)


def with_emotions(emotions: Emotions | None, hashed: str = "m1") -> Judged:
    each = announced({})
    ensemble = with_several(each.recognised.ensemble, FakeMultilabel(hashed))
    recognised = replace(each.recognised, ensemble=ensemble, emotions=emotions)
    return replace(each, recognised=recognised)


def test_emotions_that_are_as_probable_come_in_the_order_of_labels() -> None:
    probability = np.array([0.1, 0.5, 0.1, 0.9, 0.5, 0.1, 0.9])
    several = Emotions(probability, np.zeros(7), probability > 0.4)
    found = announcer().event(with_emotions(several)).data.emotions
    assert isinstance(found, tuple)
    at = [3, 6, 1, 4, 0, 2, 5]
    assert [each.label for each in found] == [EMOTIONS[i] for i in at]
    assert [each.shown for each in found] == [True] * 4 + [False] * 3


def test_a_window_judged_with_another_engine_has_another_id() -> None:
    each = [announced({}), with_emotions(None, "m1"), with_emotions(None, "m2")]
    assert len({announcer().event(one).data.window_id for one in each}) == 3


async def test_an_engine_that_fails_costs_no_event_and_is_complained_of_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    engine = FakeMultilabel(broken=True)
    panel = Panel(ensemble_of(ALL, multilabel=engine))
    lost = await events(await judge(panel, seen(0), saying("yes")))
    assert [event.data.emotions for event in lost] == [None, None, None]
    assert all('"emotions":null' in event.model_dump_json() for event in lost)
    assert capsys.readouterr().out.count("events go without several emotions") == 1
    engine.broken = False
    (again,) = await events(await judge(panel, seen(1)))
    assert again.data.emotions
    assert panel.without_emotions == 3
    metrics = await asyncio.to_thread(Metrics, [])
    metrics.follow_engines(lambda: {"multilabel": panel.without_emotions})
    reading = await asyncio.to_thread(metrics.reading)
    assert reading.by("engine", "credence_engine_failures_total") == {"multilabel": 3}


async def test_a_new_engine_that_fails_gives_way_to_the_one_before() -> None:
    old = ensemble_of(ALL, multilabel=FakeMultilabel("m1"))
    new = with_several(old, FakeMultilabel("m2", broken=True))
    panel = Panel(old)
    judged = await judge(panel, seen(0), new, seen(1), seen(2))
    assert [each.ensemble for each in judged] == [old, old, old]
    assert all(each.emotions for each in judged)
    assert panel.without_emotions == 0


async def test_windows_of_all_cameras_go_back_to_those_before_a_new_engine_that_fails() -> None:
    old = ensemble_of(ALL, multilabel=FakeMultilabel("m1"))
    panel = Panel(old)
    panel.seat(with_several(old, FakeMultilabel("m2", broken=True)))
    found = await asyncio.gather(*(judge(panel, seen()) for _ in range(3)))
    assert [each.ensemble for (each,) in found] == [old, old, old]
    assert all(each.emotions for (each,) in found)
    assert panel.without_emotions == 0


async def test_a_new_engine_has_proven_itself_once_it_was_asked() -> None:
    old = ensemble_of(ALL, multilabel=FakeMultilabel("m1"))
    engine = FakeMultilabel("m2")
    panel = Panel(old)
    trial = panel.seat(with_several(old, engine))
    assert trial.unproven == {"multilabel"}
    await judge(panel, seen(0))
    assert trial.ended.result() is None
    engine.broken = True
    (each,) = await judge(panel, seen(1))
    assert (each.emotions, each.ensemble) == (None, panel.sitting)


async def test_windows_of_several_cameras_are_asked_about_at_once() -> None:
    engine = FakeMultilabel(runtime=SimpleNamespace(batches=True))
    ensemble = with_runtimes(ensemble_of(ALL, multilabel=engine))
    worker, batcher = Worker("engines"), Batcher(0.5)

    async def camera() -> list[Recognised]:
        async def windows() -> AsyncIterator[Window]:
            yield seen()

        return [each async for each in recognise(windows(), Panel(ensemble), worker, batcher)]

    found = await asyncio.gather(*(camera() for _ in range(3)))
    worker.close()
    batcher.close()
    assert engine.calls == [3]
    assert all(each.emotions for (each,) in found)


def with_runtimes(ensemble: Ensemble) -> Ensemble:
    for engine in ensemble.engines.values():
        engine.runtime = SimpleNamespace(batches=False)  # type: ignore[misc]
    return ensemble
