"""Cutting speech, on real voices between digital silence."""

import shutil
import subprocess
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from streamer.clip import read_sound
from streamer.config import Vad
from streamer.flow import AudioChunk, Epoch, Sighting, Speaking, Utterance
from streamer.speech import FRAME_S, Segmenter, cut_speech, lowest_tenth

RATE_HZ = 16_000
Pcm = npt.NDArray[np.int16]

needs_espeak = pytest.mark.skipif(
    shutil.which("espeak-ng") is None, reason="espeak-ng is not installed"
)


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Pcm:
    path: Path = tmp_path_factory.mktemp("voice") / "voice.wav"
    subprocess.run(["espeak-ng", "-w", path, "the quick brown fox jumps over the dog"], check=True)
    spoken = read_sound(path)
    loud = np.flatnonzero(np.abs(spoken) > 300)
    return spoken[loud[0] : loud[-1]]


def silence(seconds: float) -> Pcm:
    return np.zeros(round(seconds * RATE_HZ), np.int16)


def noise(seconds: float, level: float) -> Pcm:
    random = np.random.default_rng(1)
    return (random.normal(0, level, round(seconds * RATE_HZ))).astype(np.int16)


def cut(
    pcm: Pcm, *, chunk: int = 1024, vad: Vad | None = None, longest_s: float = 8.0
) -> list[Utterance]:
    segmenter = Segmenter(vad or Vad(), longest_s)
    found: list[Utterance] = []
    for at in range(0, len(pcm), chunk):
        found += segmenter.feed(AudioChunk(at / RATE_HZ, pcm[at : at + chunk]))
    return [*found, *segmenter.close()]


@needs_espeak
def test_feed_finds_each_utterance(voice: Pcm) -> None:
    length_s = len(voice) / RATE_HZ
    found = cut(np.concatenate([silence(1), voice, silence(1.5), voice, silence(1)]))
    starts = [1.0, 2.5 + length_s]
    assert len(found) == 2
    for utterance, start_s in zip(found, starts, strict=True):
        assert utterance.start_s == pytest.approx(start_s, abs=0.35)
        assert utterance.start_s <= start_s + 0.05
        assert utterance.end_s == pytest.approx(start_s + length_s, abs=0.3)
        assert len(utterance.pcm) / RATE_HZ == pytest.approx(utterance.end_s - utterance.start_s)
        assert np.abs(utterance.pcm).max() <= 1.0


@needs_espeak
def test_feed_does_not_depend_on_how_sound_is_chunked(voice: Pcm) -> None:
    pcm = np.concatenate([silence(1), voice, silence(1.5), voice, silence(1)])
    one, other = cut(pcm, chunk=160), cut(pcm, chunk=7001)
    assert [(u.start_s, u.end_s) for u in one] == [(u.start_s, u.end_s) for u in other]
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a.pcm, b.pcm)


@needs_espeak
def test_feed_keeps_short_pauses_inside(voice: Pcm) -> None:
    assert len(cut(np.concatenate([voice, silence(0.3), voice, silence(1)]))) == 1


@needs_espeak
def test_feed_cuts_long_speech_where_it_is_quiet(voice: Pcm) -> None:
    pause = silence(0.2)
    pcm = np.concatenate([*([voice, pause] * 6), silence(1)])
    found = cut(pcm, longest_s=5.0)
    assert len(found) > 2
    assert all(u.end_s - u.start_s <= 5.0 + FRAME_S for u in found)
    for before, after in pairwise(found):
        assert after.start_s >= before.end_s - 1e-9
    for utterance in found[:-1]:
        assert np.abs(utterance.pcm[-480:]).mean() < 0.5 * np.abs(utterance.pcm).mean()


@needs_espeak
def test_feed_ends_speech_when_sound_is_interrupted(voice: Pcm) -> None:
    segmenter = Segmenter(Vad(), 8.0)
    assert list(segmenter.feed(AudioChunk(0.0, voice))) == []
    found = list(segmenter.feed(AudioChunk(60.0, silence(1))))
    assert [u.end_s < 5 for u in found] == [True]
    assert segmenter.heard_s == pytest.approx(61.0, abs=FRAME_S)


@needs_espeak
def test_feed_finds_speech_above_noise_but_not_the_noise(voice: Pcm) -> None:
    hiss = noise(4, 40)
    pcm = np.concatenate([hiss, voice + noise(len(voice) / RATE_HZ, 40)[: len(voice)], hiss])
    found = cut(pcm)
    assert found
    assert all(u.start_s > 3.5 for u in found)
    assert all(u.end_s < 4.5 + len(voice) / RATE_HZ for u in found)


@pytest.mark.parametrize("level", [0, 20, 300, 3000])
def test_feed_takes_steady_noise_for_no_speech(level: float) -> None:
    assert cut(noise(20, level)) == []


def test_feed_takes_a_click_for_no_speech() -> None:
    pcm = silence(4)
    pcm[20_000:20_400] = 20_000
    assert cut(pcm) == []


@needs_espeak
def test_settled_s_stays_before_an_open_utterance(voice: Pcm) -> None:
    segmenter = Segmenter(Vad(), 8.0)
    list(segmenter.feed(AudioChunk(0.0, silence(2))))
    assert segmenter.settled_s == pytest.approx(2.0, abs=0.6)
    list(segmenter.feed(AudioChunk(2.0, voice)))
    assert segmenter.settled_s < 2.0
    assert segmenter.heard_s > 3.0


@needs_espeak
def test_shortest_s_drops_short_sounds(voice: Pcm) -> None:
    pcm = np.concatenate([silence(1), voice, silence(1)])
    assert cut(pcm, vad=Vad(shortest_s=0.2))
    assert cut(pcm, vad=Vad(shortest_s=7.9)) == []


@needs_espeak
async def test_an_utterance_is_handed_on_every_two_seconds_while_it_goes_on(voice: Pcm) -> None:
    async def sound() -> AsyncIterator[Epoch | AudioChunk]:
        yield Epoch("e-0", datetime(2026, 1, 1, tzinfo=UTC), has_video=False, has_audio=True)
        pcm = np.concatenate([silence(1), voice, voice, voice, silence(1)])
        for at in range(0, len(pcm), 480):
            yield AudioChunk(at / RATE_HZ, pcm[at : at + 480])

    items = [item async for item in cut_speech(sound(), Vad(), longest_s=60.0)]
    (said,) = [item for item in items if isinstance(item, Utterance)]
    partial = [item.voice for item in items if isinstance(item, Speaking)]
    lengths = [each.end_s - each.start_s for each in partial]
    assert lengths == pytest.approx(np.arange(1, len(said.pcm) // 32_000 + 1) * 2.01)
    for each in partial:
        assert each.start_s == said.start_s
        assert np.array_equal(each.pcm, said.pcm[: len(each.pcm)])


@needs_espeak
@pytest.mark.parametrize("behind_s", [0.0, 3.0])
async def test_sound_that_stops_in_mid_utterance_ends_it_by_the_clock_of_the_pictures(
    voice: Pcm, behind_s: float
) -> None:
    said, stops_s, back_s = np.concatenate([silence(0.5), voice]), 1.5, 6.0

    async def media() -> AsyncIterator[Epoch | AudioChunk | Sighting]:
        yield Epoch("e-0", datetime.now(UTC), has_video=True, has_audio=True)
        for step in range(120):
            at_s = step / 10
            if step % 4 == 0:
                yield Sighting(at_s, ())
            spoken_s = at_s - behind_s
            if 0 <= spoken_s < stops_s or back_s <= spoken_s:
                start = round((spoken_s - (back_s if spoken_s >= back_s else 0)) * RATE_HZ)
                if len(chunk := said[start : start + 1600]):
                    yield AudioChunk(spoken_s, chunk)

    seen_s, ends = 0.0, []
    async for item in cut_speech(media(), Vad(), longest_s=60.0):
        if isinstance(item, Sighting):
            seen_s = item.pts_s
        elif isinstance(item, Utterance):
            ends.append((item.end_s, seen_s))
    (first_s, told_s), (again_s, _) = ends
    assert first_s == pytest.approx(stops_s, abs=0.2)
    assert told_s <= stops_s + behind_s + 2.4
    assert again_s == pytest.approx(back_s + len(said) / RATE_HZ, abs=0.3)


@pytest.mark.parametrize("count", [1, 2, 10, 11, 200])
def test_lowest_tenth_is_numpys_percentile(count: int) -> None:
    energies = np.random.default_rng(count).exponential(size=count).tolist()
    assert lowest_tenth(energies) == pytest.approx(np.percentile(energies, 10))
