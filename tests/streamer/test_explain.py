"""What is said of windows: a person is compared with themselves, and words stay private."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import numpy as np

from engines.baseline import LEAST_WINDOWS
from engines.clues import Clue
from engines.opinion import Opinion
from engines.verdict import UNCERTIFIED
from engines.window import VoiceWindow
from streamer.ensemble import Ensemble
from streamer.event import Phase
from streamer.explain import explain
from streamer.flow import Epoch, Judged, Recognised, Window
from streamer.fuse import fuse
from streamer.worker import Worker

EPOCH = Epoch("e", datetime.now(UTC), has_video=True, has_audio=True)
VOICE = VoiceWindow(0.0, np.zeros(32_000, np.float32))
SURE = Opinion.from_evidence([0, 0, 0, 60, 0, 0, 0])


def recognised(
    pitch_hz: float = 200.0, track: int | None = 1, epoch: str = "e", phase: Phase = "final"
) -> Recognised:
    clues = (
        Clue("voice.sound", "voice", 0.9, "probability", 0.0, 2.0, emotion="happiness"),
        Clue("voice.pitch", "voice", pitch_hz, "Hz", 0.0, 2.0),
        Clue("text.words", "text", 0.9, "probability", 0.0, 2.0, emotion="happiness"),
        Clue("text.word.1", "text", 0.5, "probability", 0.0, 2.0, None, "happiness", "xylophone"),
    )
    began = Epoch(epoch, EPOCH.began, has_video=True, has_audio=True)
    window = Window(began, "speech", 0.0, 2.0, track, None, VOICE, {})
    return Recognised(
        window, Ensemble({}, UNCERTIFIED), {"voice": SURE, "text": SURE}, {}, phase, clues=clues
    )


async def explained(*given: Recognised, words: bool = True) -> list[Judged]:
    async def each() -> AsyncIterator[Recognised]:
        for one in given:
            yield one

    worker = Worker("test")
    try:
        return [judged async for judged in explain(fuse(each()), worker, words=words)]
    finally:
        worker.close()


def pitch_z(judged: Judged) -> float | None:
    return next(clue.z for clue in judged.clues if clue.id == "voice.pitch")


async def test_a_person_is_compared_with_their_own_final_windows_alone() -> None:
    usual = [recognised()] * LEAST_WINDOWS
    updates = [recognised(300.0, phase="update")] * LEAST_WINDOWS
    others = [recognised(240.0, track=2), recognised(240.0, None), recognised(240.0, epoch="f")]
    *_, same, two, nobody, later = await explained(*usual, *updates, recognised(240.0), *others)
    assert pitch_z(same) == 5.0  # of 8 Hz each
    assert same.explanation
    assert "higher (+5.0) than this person usually sounds" in same.explanation.text
    assert [pitch_z(each) for each in (two, nobody, later)] == [None, None, None]


async def test_no_word_is_repeated_that_is_not_published() -> None:
    (told,) = await explained(recognised())
    (silent,) = await explained(recognised(), words=False)
    assert "xylophone" in repr((told.clues, told.explanation))
    assert told.explanation
    assert "not least by “xylophone”" in told.explanation.text
    assert "xylophone" not in repr((silent.clues, silent.explanation))
    assert [clue.id for clue in silent.clues] == [clue.id for clue in told.clues]
