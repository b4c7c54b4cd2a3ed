"""Words on their way: what waits for them, and what never does."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import numpy as np
import pytest
from structlog.testing import capture_logs

from engines.engine import Answer
from engines.manifest import Modality
from engines.opinion import Opinion
from engines.verdict import UNCERTIFIED
from engines.window import FaceWindow, TextWindow, VoiceWindow
from streamer.config import Config, Engines, Transcript
from streamer.ensemble import Ensemble, Panel
from streamer.event import Transcript as Heard
from streamer.flow import Epoch, Recognised, Said, Window
from streamer.recognise import add_words, recognise
from streamer.transcribe import Transcriber, ask_words, open_transcriber
from streamer.worker import Worker
from tests.streamer.ensembles import answer_of

EPOCH = Epoch("e-0", datetime(2026, 1, 1, tzinfo=UTC), has_video=True, has_audio=True)
NOBODY = Ensemble({}, UNCERTIFIED)


def heard(text: str, language: str = "en", translation: str | None = None) -> Heard:
    return Heard(
        text=text,
        language=language,
        translation=translation,
        words=(),
        avg_logprob=-0.2,
        no_speech_prob=0.01,
    )


@dataclass(slots=True)
class Listener:
    """Says a number for each utterance, as soon as it may."""

    hash: str = "l1"
    may: threading.Event = field(default_factory=threading.Event)
    started: threading.Event = field(default_factory=threading.Event)
    heard_s: list[float] = field(default_factory=list)

    def hear(self, voice: VoiceWindow, *, draft: bool = False) -> Said:
        self.started.set()
        assert self.may.wait(5)
        self.heard_s.append(voice.start_s)
        return heard(f"number {voice.start_s:.0f}")


@dataclass(slots=True)
class Ready:
    """Knows what was said before it is asked."""

    said: Said
    hash: str = "r1"

    def hear(self, voice: VoiceWindow, *, draft: bool = False) -> Said:
        return self.said


class Broken:
    hash = "b1"

    def hear(self, voice: VoiceWindow, *, draft: bool = False) -> Said:
        raise RuntimeError("what was said, in an error")


@dataclass(slots=True)
class TextEngine:
    """Stands in for an engine, and keeps what it was given."""

    hash: str = "t1"
    given: list[TextWindow] = field(default_factory=list)

    def answers(self, windows: Sequence[TextWindow]) -> list[Answer]:
        self.given += windows
        rows = Opinion.from_evidence([[0, 0, 0, 9, 0, 0, 0]])
        return [answer_of(rows) for _ in windows]

    def judge_all(self, windows: Sequence[TextWindow]) -> list[Opinion]:
        return [Opinion.vacuous(7) for _ in windows]


def voice(start_s: float) -> VoiceWindow:
    return VoiceWindow(start_s, np.zeros(16_000, np.float32))


def speech(start_s: float) -> Window:
    return Window(EPOCH, "speech", start_s, start_s + 1, 1, None, voice(start_s))


def ambient(start_s: float) -> Window:
    face = FaceWindow(start_s, start_s + 1, np.zeros((1, 48, 48), np.uint8))
    return Window(
        EPOCH, "ambient", start_s, start_s + 1, 1, face, None, absent={"voice": "no_voice"}
    )


async def stream(*windows: Window) -> AsyncIterator[Window]:
    for window in windows:
        yield window


async def through(
    transcriber: Transcriber,
    *windows: Window,
    ensemble: Ensemble = NOBODY,
    updates: bool = True,
) -> AsyncIterator[Recognised]:
    worker, panel = Worker("engines"), Panel(ensemble)
    judged = recognise(ask_words(stream(*windows), transcriber), panel, worker)
    in_step = transcriber.patience_s is None
    said = add_words(judged, panel, worker, updates=updates, in_step=in_step)
    try:
        async with aclosing(said):
            async for each in said:
                yield each
    finally:
        worker.close()
        transcriber.close()


def brief(each: Recognised) -> str:
    return f"{each.window.kind[0]}{each.window.start_s:.0f} {each.phase}"


async def test_voice_and_face_come_while_whisper_is_at_work() -> None:
    listener = Listener()
    out = through(Transcriber(listener, 5), speech(1), ambient(2), speech(3))
    early = [await anext(out) for _ in range(3)]
    assert [brief(each) for each in early] == ["s1 update", "a2 update", "s3 update"]
    assert {each.absent["text"] for each in early} == {"pending", "no_voice"}
    assert not listener.heard_s
    listener.may.set()
    late = [each async for each in out]
    assert [brief(each) for each in late] == ["s1 final", "a2 final", "s3 final"]
    texts = [each.transcript.text if each.transcript else None for each in late]
    assert texts == ["number 1", None, "number 3"]


async def test_what_waits_for_nobody_has_no_update() -> None:
    listener = Listener()
    listener.may.set()
    out = through(Transcriber(listener, 5), ambient(0), ambient(1))
    assert [brief(each) async for each in out] == ["a0 final", "a1 final"]


@pytest.mark.parametrize("patience_s", [None, 5.0])
async def test_without_updates_there_are_finals_alone(patience_s: float | None) -> None:
    out = through(
        Transcriber(Ready(heard("yes")), patience_s), speech(1), ambient(2), updates=False
    )
    assert [brief(each) async for each in out] == ["s1 final", "a2 final"]


async def test_in_a_replay_every_window_waits_its_turn() -> None:
    for _ in range(3):
        out = through(Transcriber(Ready(heard("yes"))), speech(1), ambient(2), speech(3))
        assert [brief(each) async for each in out] == [
            "s1 update",
            "s1 final",
            "a2 final",
            "s3 update",
            "s3 final",
        ]


async def test_words_that_take_too_long_are_left_out() -> None:
    listener = Listener()
    with capture_logs() as logs:
        out = through(Transcriber(listener, 0.05), speech(1), speech(2))
        late = [each async for each in out if each.phase == "final"]
    listener.may.set()
    assert [each.absent["text"] for each in late] == ["late", "late"]
    assert [entry["log_level"] for entry in logs] == ["warning"]


async def test_a_full_queue_drops_what_waits_longest() -> None:
    listener = Listener()
    transcriber = Transcriber(listener, 5, limit=2)
    asked = [transcriber.hear(voice(0))]
    await asyncio.to_thread(listener.started.wait, 5)
    asked += [transcriber.hear(voice(n)) for n in (1, 2, 3)]
    assert transcriber.waiting == 2
    assert await asked[1] == "late"
    assert transcriber.late == 1
    listener.may.set()
    await asyncio.gather(*asked)
    assert listener.heard_s == [0, 2, 3]
    transcriber.close()


async def test_what_is_no_longer_wanted_is_not_heard() -> None:
    listener = Listener()
    transcriber = Transcriber(listener)
    first, second, third = (transcriber.hear(voice(n)) for n in range(3))
    await asyncio.to_thread(listener.started.wait, 5)
    second.cancel()
    listener.may.set()
    await asyncio.gather(first, third)
    assert listener.heard_s == [0, 2]
    transcriber.close()


async def test_a_failing_whisper_ends_nothing_and_tells_no_words() -> None:
    with capture_logs() as logs:
        late = [each async for each in through(Transcriber(Broken()), speech(1))]
    assert late[-1].absent["text"] == "no_transcriber"
    assert logs == [
        {
            "error": "RuntimeError",
            "event": "speech could not be transcribed",
            "log_level": "error",
        }
    ]


@pytest.mark.parametrize(
    ("said", "given", "why"),
    [
        (heard("yes"), "yes", None),
        (heard("ja", "de", "yes"), "yes", None),
        (heard("ja", "de"), None, "unintelligible"),
        ("no_speech", None, "no_speech"),
        ("unintelligible", None, "unintelligible"),
    ],
)
async def test_the_text_engine_is_given_english(
    said: Said, given: str | None, why: str | None
) -> None:
    engine = TextEngine()
    ensemble = Ensemble({"text": engine}, UNCERTIFIED)  # type: ignore[dict-item]
    out = through(Transcriber(Ready(said)), speech(1), ensemble=ensemble)
    update, final = [each async for each in out]
    assert update.transcript is None
    assert [window.text for window in engine.given] == ([given] if given else [])
    assert ("text" in final.opinions) is (given is not None)
    assert final.absent.get("text") == (why or "pending")
    assert final.transcript == (said if isinstance(said, Heard) else None)


async def test_without_a_text_engine_the_transcript_stands_alone() -> None:
    _, final = [each async for each in through(Transcriber(Ready(heard("yes"))), speech(1))]
    assert final.absent["text"] == "no_engine"
    assert final.transcript == heard("yes")


async def test_without_a_transcriber_text_is_absent() -> None:
    worker = Worker("engines")
    crowd = replace(ambient(3), kind="speech", absent={"voice": "several_people"})
    out = recognise(stream(speech(1), ambient(2), crowd), Panel(NOBODY), worker)
    texts: list[Modality | str] = [each.absent["text"] async for each in out]
    assert texts == ["no_transcriber", "no_voice", "several_people"]
    worker.close()


async def test_leaving_early_leaves_nothing_behind() -> None:
    listener = Listener()
    out = through(Transcriber(listener, 5), speech(1), speech(2))
    await anext(out)
    await out.aclose()  # type: ignore[attr-defined]
    listener.may.set()
    names = {task.get_name() for task in asyncio.all_tasks()}
    assert "next window" not in names


@pytest.mark.parametrize(
    ("model", "publish", "warnings"),
    [("none", True, 0), ("auto", False, 0), ("auto", True, 1), ("small", False, 1)],
)
def test_a_model_that_is_not_fetched_costs_a_warning(
    model: str, publish: bool, warnings: int, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    unread = Engines(text="none")
    config = Config(engines=unread, transcript=Transcript(model=model, publish=publish))
    with capture_logs() as logs:
        assert open_transcriber(config, live=True) is None
    assert len(logs) == warnings
    assert all("credence models fetch whisper-" in entry["event"] for entry in logs)
