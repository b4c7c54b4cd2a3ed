"""What the benchmarks compute, and that they measure what runs."""

import struct
import subprocess
import sys
from itertools import takewhile
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import linregress

from benchmarks.ages import Span, closed_s
from benchmarks.cameras import following
from benchmarks.feeds import feeds, phase_s
from benchmarks.hasty import for_ever
from benchmarks.memory import Soak
from benchmarks.node import dropped_share
from benchmarks.processes import EndedError, Memory, running
from streamer.clip import read_sound
from streamer.config import Config
from streamer.demo.rtp import packets
from streamer.flow import AudioChunk
from streamer.speech import Segmenter
from tests.media import AS_CAMERAS_DO, CLIPS, needs_data, write_media

_CHUNK = 480
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@needs_data
def test_closed_s_is_when_an_utterance_comes_out() -> None:
    """It is computed from the spans alone; the truth is how much sound the segmenter was fed."""
    config, pcm = Config(), read_sound(CLIPS / "obama_20s.mp4")
    segmenter = Segmenter(config.vad, config.windows.longest_s)
    came: list[tuple[Span, float]] = []
    for at in range(0, len(pcm), _CHUNK):
        for said in segmenter.feed(AudioChunk(at / 16_000, pcm[at : at + _CHUNK])):
            came.append((Span("speech", said.start_s, said.end_s), (at + _CHUNK) / 16_000))
    assert any(span.end_s - span.start_s > 4 for span, _ in came), "one should have been cut"
    closed = closed_s([span for span, _ in came], config)
    assert closed == pytest.approx([at_s for _, at_s in came[:-1]], abs=0.031)


def test_closed_s_of_a_face_alone() -> None:
    spans = [
        Span("ambient", 0.0, 2.0),
        Span("ambient", 2.0, 3.1),
        Span("speech", 3.1, 5.0),
        Span("ambient", 5.0, 7.0),
    ]
    # Noticed speech begins 0.44 s back; what speech cuts off waits for it to end at 5.0 + 0.41.
    assert closed_s(spans, Config()) == pytest.approx([2.44, 5.41, 5.41])


@pytest.mark.parametrize("most", [1, 3, 17, 24, 70])
def test_following_finds_the_most_within_a_tenth(most: int) -> None:
    tried: dict[int, bool] = {}
    while (count := following(tried)) is not None:
        assert count not in tried
        tried[count] = count <= most
    best = max(n for n, held in tried.items() if held)
    assert best <= most <= max(best * 1.1, best)
    assert len(tried) <= 10


def test_following_ends_where_not_even_one_is_held() -> None:
    assert following({1: False}) is None


def test_phases_are_spread_over_the_cycle() -> None:
    for count in (2, 12, 50):
        places = np.sort([phase_s(str(n), 4.76) for n in range(count)])
        gaps = np.diff([*places, places[0] + 4.76])
        assert gaps.max() < 2.7 * 4.76 / count


def test_dropped_share_is_the_worst_cameras() -> None:
    said = (
        "[warning] camera c0: media was dropped items=3 of=300\n"
        "[warning] camera c1: media was dropped items=3 of=100\n"
    )
    assert dropped_share(said) == pytest.approx(0.03)
    assert dropped_share("camera c0: online") == 0.0


@needs_linux
@pytest.mark.timeout(60)
def test_a_feed_is_decoded_and_what_that_costs_is_seen(tmp_path: Path) -> None:
    clip = write_media(tmp_path / "clip.mp4", sound=None, options=AS_CAMERAS_DO)
    with feeds(clip) as server, running("benchmarks.decode", server.url("now")) as program:
        program.wait_for(lambda lines: len(lines) > 1)
        before_s = program.cpu_s
        program.wait_for(lambda lines: len(lines) > 2)
        seconds = [float(line.text) for line in program.lines]
        assert seconds == pytest.approx([1.0, 2.0, 3.0], abs=0.1)  # the clip goes on and on
        assert 0 < program.cpu_s - before_s < 2
        assert isinstance(program.memory, Memory)
        assert program.memory.rss_mb > program.memory.pss_mb > 1
        assert [name for name, _ in server.played_s(program.began_s)] == ["now"]


@needs_linux
def test_a_benchmark_refuses_in_one_sentence(tmp_path: Path) -> None:
    write_media(tmp_path / "mute.mp4", sound=None)
    (tmp_path / "no.mp4").write_text("no recording")
    (tmp_path / "no.onnx").write_text("no model")
    whole = write_media(tmp_path / "whole.mp4")
    for name, clip, said in (
        ("startup", "mute.mp4", "mute.mp4 must have pictures, sound and a length"),
        ("cameras", "no.mp4", "no.mp4 is no recording (Invalid data found"),
        ("cameras", whole.name, "did not do what is measured; it said last: "),
    ):
        command = [sys.executable, "-m", f"benchmarks.{name}", str(tmp_path / clip)]
        done = subprocess.run(
            [*command, "--yunet", str(tmp_path / "no.onnx")],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout) == (2, "")
        assert said in done.stderr.splitlines()[-1]
        assert "Traceback" not in done.stderr


@needs_linux
def test_a_program_that_ends_too_soon_is_told_by_what_it_said() -> None:
    with running("benchmarks.no_such") as program, pytest.raises(EndedError, match="No module"):
        program.wait_for(lambda lines: len(lines) > 0)


def test_slope_of_memory_is_that_of_least_squares() -> None:
    noise = np.random.default_rng(0)
    hours = np.arange(100) / 10
    held = 200 + 0.3 * hours + noise.normal(0, 0.1, 100)
    held[:10] += 50  # warming up
    soak = Soak(hours.tolist(), hours.tolist(), held.tolist())
    reference = linregress(hours[10:], held[10:])
    assert soak.slope(soak.done) == pytest.approx((reference.slope, reference.stderr))


def test_rounds_of_a_camera_go_on_in_number_and_clock(tmp_path: Path) -> None:
    clip = write_media(tmp_path / "a.mov", sound="pcm_mulaw", sound_hz=8000, options=AS_CAMERAS_DO)
    media = for_ever(packets(clip), 1.0, {0: 90_000, 1: 8000})
    numbers: dict[int, list[int]] = {0: [], 1: []}
    clocks: dict[int, list[int]] = {0: [], 1: []}
    for packet in takewhile(lambda packet: packet.due_s < 3, media):
        number, clock = struct.unpack_from(">HI", packet.data, 2)
        numbers[packet.track].append(number)
        clocks[packet.track].append(clock)
    for track, rate_hz in ((0, 90_000), (1, 8000)):
        assert set(np.diff(numbers[track]) & 0xFFFF) == {1}
        assert (clocks[track][-1] - clocks[track][0]) % 2**32 == pytest.approx(3 * rate_hz, rel=0.1)
