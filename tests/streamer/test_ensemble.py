"""Engines take the place of others between two windows, and give it back when they fail."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime

import numpy as np
import pytest

from engines.window import FaceWindow, VoiceWindow
from streamer.ensemble import Ensemble, Panel
from streamer.flow import Epoch, Recognised, Window
from streamer.recognise import add_words, recognise
from streamer.worker import Worker
from tests.streamer.ensembles import FakeEngine, ensemble_of
from tests.streamer.test_transcribe import heard

EPOCH = Epoch("e", datetime.now(UTC), has_video=True, has_audio=True)
FACE = FaceWindow(0.0, 1.0, np.indices((1, 48, 48)).sum(axis=0).astype(np.uint8))
VOICE = VoiceWindow(0.0, np.zeros(16_000, np.float32))


def seen(at_s: float = 0.0) -> Window:
    return Window(EPOCH, "ambient", at_s, at_s + 1, 1, FACE, None, {"voice": "no_voice"})


def spoken(said: "asyncio.Future[object]") -> Window:
    return Window(EPOCH, "speech", 0.0, 1.0, 1, FACE, VOICE, said=said)  # type: ignore[arg-type]


async def judge(panel: Panel, *windows: Window | Ensemble) -> list[Recognised]:
    """Judge windows with words; an ensemble among them is seated when it is its turn."""
    worker = Worker("engines")

    async def stream() -> AsyncIterator[Window]:
        for item in windows:
            if isinstance(item, Ensemble):
                panel.seat(item)
            else:
                yield item

    said = add_words(recognise(stream(), panel, worker), panel, worker, in_step=True)
    async with aclosing(said):
        judged = [each async for each in said]
    worker.close()
    return judged


async def test_each_window_is_judged_by_who_sits_when_it_comes() -> None:
    old, new = ensemble_of({"face": "f1"}), ensemble_of({"face": "f2"})
    judged = await judge(Panel(old), seen(0), new, seen(1), old, seen(2))
    assert [each.ensemble.hashes["face"] for each in judged] == ["f1", "f2", "f1"]


async def test_engines_that_fail_at_first_give_way_and_no_window_is_lost(
    capsys: pytest.CaptureFixture[str],
) -> None:
    old, new = ensemble_of({"face": "f1"}), ensemble_of({"face": FakeEngine("f2", broken=True)})
    panel = Panel(old)
    judged = await judge(panel, seen(0), new, seen(1), seen(2))
    assert [each.ensemble for each in judged] == [old, old, old]
    assert [each.window.start_s for each in judged] == [0, 1, 2]
    said = capsys.readouterr().out
    assert said.count("the new engines failed, those before them judge again: f2 is broken") == 1


async def test_engines_that_have_judged_are_kept_and_their_errors_raised() -> None:
    engine = FakeEngine("f2")
    old, new = ensemble_of({"face": "f1"}), ensemble_of({"face": engine})
    panel = Panel(old)
    trial = panel.seat(new)
    await judge(panel, seen(0))
    assert trial.ended.result() is None
    engine.broken = True
    with pytest.raises(RuntimeError, match="f2 is broken"):
        await judge(panel, seen(1))


async def test_a_trial_lasts_until_every_new_engine_has_judged() -> None:
    face = FakeEngine("f1")
    old = ensemble_of({"face": face, "voice": "v1"})
    panel = Panel(old)
    trial = panel.seat(ensemble_of({"face": face, "voice": FakeEngine("v2", broken=True)}))
    (first,) = await judge(panel, seen(0))
    assert (first.ensemble.hashes["voice"], trial.ended.done()) == ("v2", False)
    settled: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    settled.set_result("no_speech")
    update, final = await judge(panel, spoken(settled))
    assert update.ensemble is final.ensemble is panel.sitting is old
    assert str(trial.ended.result()) == "v2 is broken"


async def test_an_engine_that_has_judged_ends_nobody_elses_trial() -> None:
    engine = FakeEngine("f2")
    panel = Panel(ensemble_of({"face": "f1", "text": "t1"}))
    new = ensemble_of({"face": engine, "text": "t2"})
    await judge(panel, new, seen(0))
    engine.broken = True
    with pytest.raises(RuntimeError, match="f2 is broken"):
        await judge(panel, seen(1))
    assert panel.sitting is new


async def test_words_are_judged_by_who_judged_the_rest() -> None:
    settled: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    settled.set_result(heard("yes"))
    old, new = ensemble_of({"face": "f1", "text": "t1"}), ensemble_of({"face": "f2", "text": "t2"})
    panel, worker = Panel(old), Worker("engines")

    async def stream() -> AsyncIterator[Window]:
        yield spoken(settled)

    async with aclosing(
        add_words(recognise(stream(), panel, worker), panel, worker, in_step=True)
    ) as judged:
        update = await anext(judged)
        panel.seat(new)
        final = await anext(judged)
    worker.close()
    assert update.ensemble is final.ensemble is old
    assert old.engines["text"].given  # type: ignore[attr-defined]


async def test_where_the_new_text_engine_fails_all_is_judged_again() -> None:
    settled: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    settled.set_result(heard("yes"))
    old = ensemble_of({"face": "f1", "text": "t1"})
    new = ensemble_of({"face": "f2", "text": FakeEngine("t2", broken=True)})
    panel = Panel(old)
    update, final = await judge(panel, new, spoken(settled))
    assert (update.ensemble, final.ensemble) == (new, old)
    assert set(final.opinions) == {"face", "text"}
    assert final.transcript == heard("yes")


async def test_a_swap_during_a_trial_goes_back_to_those_that_are_proven() -> None:
    old = ensemble_of({"face": "f1"})
    panel = Panel(old)
    first = panel.seat(ensemble_of({"face": "f2"}))
    panel.seat(ensemble_of({"face": FakeEngine("f3", broken=True)}))
    assert first.ended.done()
    (judged,) = await judge(panel, seen(0))
    assert judged.ensemble is panel.sitting is old


async def test_a_text_engine_is_on_trial_only_where_there_are_words() -> None:
    old, new = ensemble_of({"face": "f1"}), ensemble_of({"face": "f2", "text": "t2"})
    for hears_words, unproven in ((True, {"text"}), (False, set())):
        panel = Panel(old, hears_words=hears_words)
        trial = panel.seat(new)
        await judge(panel, seen(0))
        assert trial.unproven == unproven
        assert trial.ended.done() is not hears_words
