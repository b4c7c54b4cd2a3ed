"""One media clock for all tracks, whose stamps jump, wrap and step back."""

import threading
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.clock import Clock
from streamer.datum import Datum
from streamer.flow import AudioChunk, Epoch, Media, VideoFrame
from streamer.source import Recording
from tests.media import write_media

WRAP_S = 2**33 / 90_000


def placed(stamps: list[tuple[str, float]]) -> list[tuple[int, float]]:
    clock, found = Clock(stamps[0][1]), []
    for track, stamp_s in stamps:
        at_s = clock.place(track, stamp_s)
        found.append((clock.epoch, round(at_s, 3)))
    return found


def both(from_s: float, to_s: float) -> list[tuple[str, float]]:
    steps = np.arange(round(from_s * 10), round(to_s * 10)) / 10
    return [(track, float(at)) for at in steps for track in ("video", "audio")]


@pytest.mark.parametrize("to_s", [0.0, 90.0, 1e6, -3600.0])
def test_both_that_jump_begin_one_epoch(to_s: float) -> None:
    found = placed([*both(100, 105), *both(to_s, to_s + 5)])
    assert found[:100] == [(0, round(at - 100, 3)) for _, at in both(100, 105)]
    assert found[100:] == [(1, round(at - to_s, 3)) for _, at in both(to_s, to_s + 5)]


def test_the_other_goes_on_until_it_jumps_too() -> None:
    first, second = both(100, 105), both(0, 8)
    late = [("audio", 105 + at / 10) for at in range(40)]  # sound follows after four seconds
    pictures = [("video", at / 10) for at in range(40)]
    mixed = [s for pair in zip(pictures, late, strict=True) for s in pair]
    found = placed([*first, *mixed, *second[80:]])
    assert {epoch for epoch, _ in found[100:]} == {1}
    times = [at for _, at in found[100:]]
    assert all(abs(a - b) < 0.2 for a, b in zip(times[0:80:2], times[1:80:2], strict=True))
    assert times[80:] == [round(at, 3) for _, at in second[80:]]


def test_one_track_whose_stamps_are_wrong_for_good_is_kept_in_step_by_arrival() -> None:
    good = [("video", at / 10) for at in range(100)]
    bad = [("audio", at / 10 + (3600 if at >= 50 else 0)) for at in range(100)]
    found = placed([s for pair in zip(good, bad, strict=True) for s in pair])
    assert {epoch for epoch, _ in found} == {0, 1}
    pairs = list(zip(found[::2], found[1::2], strict=True))
    assert all(abs(a[1] - b[1]) < 0.2 for a, b in pairs if a[0] == b[0])
    assert [a[0] == b[0] for a, b in pairs].count(False) == 1


def test_a_single_wild_stamp_costs_no_second_epoch_where_there_is_sound() -> None:
    stamps = both(0, 10)
    stamps[100] = ("video", 95_000.0)
    assert {epoch for epoch, _ in placed(stamps)} == {0, 1}


def test_a_track_may_be_silent_for_long_and_far_from_the_other() -> None:
    silent = [s for s in both(0, 120) if s[0] == "video" or not 20 <= s[1] < 100]
    assert {epoch for epoch, _ in placed(silent)} == {0}
    apart = [(track, at - 8 * (track == "audio")) for track, at in both(100, 140)]
    assert {epoch for epoch, _ in placed(apart)} == {0}


stamps = st.lists(
    st.tuples(st.sampled_from(["video", "audio"]), st.floats(-1e5, 1e5)), min_size=1, max_size=60
)


@given(stamps)
def test_whatever_is_stamped_time_within_an_epoch_goes_on(given_: list[tuple[str, float]]) -> None:
    clock, last = Clock(given_[0][1]), dict[str, float]()
    for track, stamp_s in given_:
        before = clock.epoch, clock.now_s, clock.passed_s
        at_s = clock.place(track, stamp_s)
        if clock.epoch > before[0]:
            last.clear()
            assert at_s == clock.now_s == 0
        assert clock.passed_s >= before[2]
        assert at_s >= last.get(track, at_s) - 2.0 or at_s >= clock.now_s - 2.0
        assert abs(at_s - clock.now_s) <= 10
        assert at_s <= before[1] + 10 or clock.epoch > before[0]
        last[track] = max(at_s, last.get(track, at_s))


def test_renewed_it_goes_on_from_zero() -> None:
    clock = Clock(100.0)
    for track, at in both(100, 105):
        clock.place(track, at)
    clock.renew()
    assert clock.epoch == 1
    assert clock.passed_s == pytest.approx(4.9)
    assert clock.place("audio", 105.0) == pytest.approx(0.1)
    assert clock.place("video", 104.9) == pytest.approx(0.0)
    assert clock.epoch == 1


def lost(late_s: list[float], wall_s: list[float] | None = None) -> bool:
    """Tell so after a packet each second, so late, while the wall clock shows so much more."""
    datum = Datum()
    shown = wall_s or [0.0] * len(late_s)
    return [datum.lost(n - late, float(n), 1e9 + n + shown[n]) for n, late in enumerate(late_s)][-1]


@pytest.mark.parametrize(("step_s", "told"), [(-3600, True), (3600, True), (4, True), (1, False)])
def test_a_machines_clock_that_is_set_is_noticed(step_s: float, told: bool) -> None:
    assert lost([0.0] * 10, [0.0] * 5 + [step_s] * 5) is told


def test_a_cameras_clock_that_drifts_is_noticed_but_not_what_is_held_up() -> None:
    assert lost([0.0005 * n for n in range(7000)])
    assert lost([-0.0005 * n for n in range(7000)])
    assert not lost([0.0] * 10 + [20.0 - n for n in range(20)] + [0.0] * 10)
    assert not lost([8.0] * 60 + [7.0] * 9)


def write_ts(path: Path, begins_s: float, seconds: float = 4.0) -> Path:
    """Write TS whose stamps begin at a time, as a camera that runs does."""
    plain = write_media(path.with_suffix(".m2ts"), seconds=seconds, sound="mp2")
    options = {"mpegts_copyts": "1"}
    with av.open(str(plain)) as given_, av.open(str(path), "w", options=options) as made:
        streams = {s.index: made.add_stream_from_template(s) for s in given_.streams}
        for packet in given_.demux():
            if packet.dts is not None and packet.pts is not None:
                shift = round(begins_s / packet.time_base)
                packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                packet.stream = streams[packet.stream.index]
                made.mux(packet)
    return path


def read(path: Path) -> list[list[Media]]:
    """Return the media of each epoch."""
    epochs: list[list[Media]] = []
    for item in Recording(path, 0.4, 320).read(threading.Event()):
        epochs.append([]) if isinstance(item, Epoch) else None
        epochs[-1].append(item)
    return epochs


def lengths(media: list[Media]) -> tuple[int, float]:
    pictures = [item for item in media if isinstance(item, VideoFrame)]
    sound = [item for item in media if isinstance(item, AudioChunk)]
    times_s = [item.pts_s for item in pictures] + [item.pts_s for item in sound]
    assert min(times_s) >= -0.1
    for a, b in pairwise(pictures):
        assert a.pts_s < b.pts_s
    return len(pictures), sum(len(item.pcm) for item in sound) / 16_000


def test_ts_that_wraps_is_read_on(tmp_path: Path) -> None:
    (media,) = read(write_ts(tmp_path / "a.ts", WRAP_S - 2))
    pictures, sound_s = lengths(media)
    assert pictures == 10
    assert sound_s == pytest.approx(4, abs=0.2)


@pytest.mark.parametrize("begins_s", [[3.0, 3.0, 3.0], [3.0, 500.0, 40.0], [9000.0, 3.0, 80_000.0]])
def test_ts_in_pieces_has_an_epoch_for_each(tmp_path: Path, begins_s: list[float]) -> None:
    pieces = [write_ts(tmp_path / f"{n}.ts", at) for n, at in enumerate(begins_s)]
    whole = tmp_path / "whole.ts"
    whole.write_bytes(b"".join(piece.read_bytes() for piece in pieces))
    epochs = read(whole)
    assert len(epochs) == 3
    for media in epochs:
        pictures, sound_s = lengths(media)
        assert pictures == pytest.approx(10, abs=1)
        assert sound_s == pytest.approx(4, abs=0.4)
    began = [media[0].began for media in epochs if isinstance(media[0], Epoch)]
    assert began == sorted(began)


def test_both_that_jump_to_different_places_begin_one_epoch() -> None:
    far = {"video": 44_127.0, "audio": 264_841.0}
    found = placed([*both(0, 5), *((track, at + far[track]) for track, at in both(5, 8))])
    assert {epoch for epoch, _ in found} == {0, 1}
    assert [at for _, at in found[100:]] == pytest.approx(
        [at - 5 for _, at in both(5, 8)], abs=0.11
    )
