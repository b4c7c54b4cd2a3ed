"""Recordings of every shape: what is there is read, what is not is one sentence."""

import threading
import time
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from streamer.flow import AudioChunk, Epoch, Media, VideoFrame
from streamer.source import UNKNOWN_START, Recording
from tests.media import CLIPS, needs_data, write_media

SECOND = timedelta(seconds=1)


def read(path: Path, *, began: datetime | None = None, realtime: bool = False) -> list[Media]:
    recording = Recording(path, 0.4, 320, began, realtime)
    return list(recording.read(threading.Event()))


def split(media: list[Media]) -> tuple[Epoch, list[VideoFrame], list[AudioChunk]]:
    epoch = media[0]
    assert isinstance(epoch, Epoch)
    frames = [item for item in media if isinstance(item, VideoFrame)]
    return epoch, frames, [item for item in media if isinstance(item, AudioChunk)]


def seconds(chunks: list[AudioChunk]) -> float:
    return sum(len(chunk.pcm) for chunk in chunks) / 16_000


def test_read_samples_pictures_on_the_grid(tmp_path: Path) -> None:
    epoch, frames, chunks = split(read(write_media(tmp_path / "a.mp4", seconds=2.0)))
    assert (epoch.has_video, epoch.has_audio) == (True, True)
    assert [round(frame.pts_s, 2) for frame in frames] == [0.0, 0.4, 0.8, 1.2, 1.6]
    assert frames[0].grey.shape == (48, 64)
    assert frames[0].small.shape == (48, 64, 3)
    assert seconds(chunks) == pytest.approx(2.0, abs=0.1)


def test_read_shrinks_for_the_finder_only(tmp_path: Path) -> None:
    path = write_media(tmp_path / "a.mp4", size=(1280, 720), seconds=0.2, sound=None)
    _, frames, _ = split(read(path))
    assert frames[0].grey.shape == (720, 1280)
    assert frames[0].small.shape == (180, 320, 3)


@pytest.mark.parametrize("size", [(66, 50), (2, 2), (322, 18)])
def test_read_odd_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    _, frames, _ = split(read(write_media(tmp_path / "a.mp4", size=size, seconds=0.5)))
    assert frames[0].grey.shape == (size[1], size[0])


def test_read_odd_sizes_of_odd_codecs(tmp_path: Path) -> None:
    path = write_media(tmp_path / "a.avi", size=(53, 37), codec="mjpeg", sound=None)
    _, frames, _ = split(read(path))
    assert frames[0].grey.shape == (37, 53)


def test_read_without_sound(tmp_path: Path) -> None:
    epoch, frames, chunks = split(read(write_media(tmp_path / "a.mp4", sound=None)))
    assert (epoch.has_video, epoch.has_audio) == (True, False)
    assert frames
    assert not chunks


def test_read_without_video(tmp_path: Path) -> None:
    epoch, frames, chunks = split(read(write_media(tmp_path / "a.m4a", size=None)))
    assert (epoch.has_video, epoch.has_audio) == (False, True)
    assert not frames
    assert seconds(chunks) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize(
    ("name", "sound", "rate_hz", "layout"),
    [
        ("g711.wav", "pcm_mulaw", 8_000, "mono"),
        ("surround.wav", "pcm_s16le", 48_000, "5.1"),
        ("cd.flac", "flac", 44_100, "stereo"),
        ("opus.mkv", "libopus", 48_000, "stereo"),
    ],
)
def test_read_makes_any_sound_mono_16_khz(
    tmp_path: Path, name: str, sound: str, rate_hz: int, layout: str
) -> None:
    path = write_media(
        tmp_path / name, size=None, sound=sound, sound_hz=rate_hz, layout=layout, seconds=2
    )
    _, _, chunks = split(read(path))
    pcm = np.concatenate([chunk.pcm for chunk in chunks]).astype(float)
    spectrum = np.abs(np.fft.rfft(pcm[:16_000]))
    assert seconds(chunks) == pytest.approx(2.0, abs=0.05)
    assert abs(int(spectrum.argmax()) - 440) <= 2


def test_read_joins_sound_without_gaps(tmp_path: Path) -> None:
    _, _, chunks = split(read(write_media(tmp_path / "a.mp4", seconds=3, size=None)))
    for before, after in pairwise(chunks):
        assert after.pts_s == pytest.approx(before.pts_s + len(before.pcm) / 16_000, abs=1e-6)


def test_read_turns_rotated_video_upright(tmp_path: Path) -> None:
    flat = write_media(tmp_path / "flat.mp4", seconds=0.2, sound=None)
    turned = tmp_path / "turned.mp4"
    with av.open(str(flat)) as given, av.open(str(turned), "w") as made:
        stream = made.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                made.mux(packet)
    rotate_by_matrix(turned)
    _, frames, _ = split(read(turned))
    _, upright, _ = split(read(flat))
    assert frames[0].grey.shape == (64, 48)
    assert frames[0].small.shape == (64, 48, 3)
    np.testing.assert_array_equal(np.rot90(upright[0].grey, 3), frames[0].grey)


def rotate_by_matrix(path: Path) -> None:
    """Write a quarter turn into the track header, as telephones do."""
    data = bytearray(path.read_bytes())
    header = data.index(b"tkhd") + 4
    one = (1 << 16).to_bytes(4, "big")
    zero, minus = bytes(4), (-(1 << 16) & 0xFFFFFFFF).to_bytes(4, "big")
    matrix = zero + one + zero + minus + zero + zero + zero + zero + (1 << 30).to_bytes(4, "big")
    data[header + 40 : header + 76] = matrix
    path.write_bytes(data)


def test_read_video_without_timestamps(tmp_path: Path) -> None:
    raw = write_media(tmp_path / "a.h264", seconds=2, sound=None)
    _, frames, _ = split(read(raw))
    assert [round(frame.pts_s, 1) for frame in frames] == [0.0, 0.4, 0.8, 1.2, 1.6]


def test_read_variable_frame_rate(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    write_pictures(path, [0, 40, 900, 940, 1900, 1950, 2500])
    _, frames, _ = split(read(path))
    assert [round(frame.pts_s, 2) for frame in frames] == [0.0, 0.9, 1.9, 2.5]


def write_pictures(path: Path, times_ms: list[int]) -> None:
    """Write black pictures at these times."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25)
        assert isinstance(video, av.VideoStream)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        video.codec_context.time_base = Fraction(1, 1000)
        for at_ms in times_ms:
            picture = av.VideoFrame(64, 48, "yuv420p")
            picture.pts, picture.time_base = at_ms, Fraction(1, 1000)
            container.mux(video.encode(picture))
        container.mux(video.encode())


def test_read_takes_a_name_with_colons(tmp_path: Path) -> None:
    path = tmp_path / "2026-01-01T10:00:00.mp4"
    path.write_bytes(write_media(tmp_path / "a.mp4", seconds=0.5).read_bytes())
    _, frames, _ = split(read(path))
    assert frames


def test_read_begins_a_new_epoch_where_the_clock_steps_back(tmp_path: Path) -> None:
    once = write_media(tmp_path / "a.ts", seconds=4, sound="mp2").read_bytes()
    (tmp_path / "b.ts").write_bytes(once + once)
    media = read(tmp_path / "b.ts")
    epochs = [item for item in media if isinstance(item, Epoch)]
    _, frames, chunks = split(media)
    assert [epoch.id.rpartition("-")[2] for epoch in epochs] == ["0", "1"]
    assert epochs[1].began - epochs[0].began == pytest.approx(timedelta(seconds=4), abs=SECOND)
    assert len(frames) == pytest.approx(20, abs=2)
    assert seconds(chunks) == pytest.approx(8, abs=1)
    second = media[media.index(epochs[1]) :]
    assert all(item.pts_s >= -0.1 for item in second if not isinstance(item, Epoch))


def test_read_leaves_cover_pictures_out(tmp_path: Path) -> None:
    path = tmp_path / "a.m4a"
    with av.open(str(path), "w", format="mp4") as container:
        cover = container.add_stream("mjpeg", rate=1)
        assert isinstance(cover, av.VideoStream)
        cover.width, cover.height, cover.pix_fmt = 16, 16, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        audio = container.add_stream("aac", rate=16_000, layout="mono")
        container.mux(cover.encode(av.VideoFrame(16, 16, "yuvj420p")))
        container.mux(cover.encode())
        tone = av.AudioFrame.from_ndarray(np.ones((1, 16_000), np.int16), "s16", "mono")
        tone.sample_rate, tone.pts = 16_000, 0
        container.mux(audio.encode(tone))
        container.mux(audio.encode())
    epoch, frames, _ = split(read(path))
    assert not epoch.has_video
    assert not frames


def test_epoch_is_named_by_content(tmp_path: Path) -> None:
    one, *_ = split(read(write_media(tmp_path / "a.mp4")))
    (tmp_path / "b.mp4").write_bytes((tmp_path / "a.mp4").read_bytes())
    same, *_ = split(read(tmp_path / "b.mp4"))
    other, *_ = split(read(write_media(tmp_path / "c.mp4", seconds=0.8)))
    assert one.id == same.id != other.id


def test_epoch_begins_when_told(tmp_path: Path) -> None:
    began = datetime(2026, 11, 21, 9, tzinfo=UTC)
    epoch, *_ = split(read(write_media(tmp_path / "a.mp4"), began=began))
    assert epoch.began == began


def test_epoch_begins_when_the_file_says(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        container.metadata["creation_time"] = "2020-02-29T12:00:00.000000Z"
        audio = container.add_stream("aac", rate=16_000, layout="mono")
        tone = av.AudioFrame.from_ndarray(np.ones((1, 16_000), np.int16), "s16", "mono")
        tone.sample_rate, tone.pts = 16_000, 0
        container.mux(audio.encode(tone))
        container.mux(audio.encode())
    epoch, *_ = split(read(path))
    assert epoch.began == datetime(2020, 2, 29, 12, tzinfo=UTC)


def test_epoch_of_a_file_without_date_is_the_same_each_time(tmp_path: Path) -> None:
    epoch, *_ = split(read(write_media(tmp_path / "a.mp4")))
    assert epoch.began == UNKNOWN_START


def test_read_in_real_time_takes_its_time(tmp_path: Path) -> None:
    path = write_media(tmp_path / "a.mp4", seconds=1.2)
    began = time.monotonic()
    read(path, realtime=True)
    assert time.monotonic() - began > 0.7


def test_read_stops_when_told(tmp_path: Path) -> None:
    stop = threading.Event()
    media = Recording(write_media(tmp_path / "a.mp4", seconds=4), 0.4, 320).read(stop)
    next(media)
    stop.set()
    assert len(list(media)) <= 2


@needs_data
def test_read_shared_clips() -> None:
    for path in sorted(CLIPS.glob("*.m[p4][g4]")):
        epoch, frames, chunks = split(read(path))
        assert epoch.has_video
        assert epoch.has_audio
        assert len(frames) >= 6, path
        assert seconds(chunks) > 2, path
