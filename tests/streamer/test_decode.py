"""What is decoded of a stream, and what is handed on."""

from collections.abc import Callable
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from streamer.decode import Decoder, find_tracks
from streamer.flow import AudioChunk, Epoch, Media, Unseen, VideoFrame
from streamer.metrics import Metrics
from streamer.sampling import Sampling
from streamer.shedding import Level, Relief, Shedding
from tests.media import write_media

WITH_B_FRAMES = {"bf": "2", "b_strategy": "0", "sc_threshold": "0", "g": "250"}


def decoded(
    path: Path,
    every_s: float,
    relief: Relief | None = None,
    skips: Callable[[int], bool] = lambda _: False,
) -> tuple[Decoder, list[Media]]:
    """Decode all but the packets of whose numbers ``skips`` is true."""
    with av.open(str(path)) as container:
        tracks = find_tracks(container)

        def begin(number: int, after_s: float) -> Epoch:
            return Epoch(str(number), datetime.now(UTC), True, True)

        decoder = Decoder("test", tracks, Sampling(every_s, 320, relief), begin)
        media: list[Media] = []
        for number, packet in enumerate(container.demux(tracks.all)):
            media += decoder.skip(packet) if skips(number) else decoder.feed(packet)
        return decoder, media + list(decoder.flush())


@pytest.fixture(scope="module")
def with_b_frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("decode") / "a.mkv"
    return write_media(path, seconds=4, sound=None, options=WITH_B_FRAMES)


def test_frames_that_no_other_refers_to_are_left_out_where_few_are_sampled(
    with_b_frames: Path,
) -> None:
    every, _ = decoded(with_b_frames, 0.04)
    some, media = decoded(with_b_frames, 0.4)
    assert every.fed == 100
    assert some.fed < 80
    times_s = [item.pts_s for item in media if isinstance(item, VideoFrame)]
    assert len(times_s) == 10
    assert [at - 0.4 * step for step, at in enumerate(times_s)] == pytest.approx(
        [0.06] * 10, abs=0.07
    )


def test_what_is_sampled_is_the_same_picture_with_and_without(with_b_frames: Path) -> None:
    _, media = decoded(with_b_frames, 0.4)
    whole = {
        round(item.pts_s, 2): item.grey
        for item in decoded(with_b_frames, 0.04)[1]
        if isinstance(item, VideoFrame)
    }
    for item in media:
        if isinstance(item, VideoFrame):
            np.testing.assert_array_equal(item.grey, whole[round(item.pts_s, 2)])


def test_a_stream_whose_pictures_mostly_stand_alone_is_soon_decoded_whole(tmp_path: Path) -> None:
    path, options = tmp_path / "a.mkv", {**WITH_B_FRAMES, "bf": "16", "b-pyramid": "none"}
    write_media(path, seconds=6, sound=None, options=options)
    decoder, media = decoded(path, 0.4)
    times_s = [item.pts_s for item in media if isinstance(item, VideoFrame)]
    assert 100 < decoder.fed < 150
    assert np.diff(times_s[4:]) == pytest.approx(0.4, abs=0.01)
    assert len(times_s) >= 13


def test_a_thin_stream_is_decoded_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    write_media(path, seconds=8, rate_hz=5, sound=None, options=WITH_B_FRAMES)
    decoder, media = decoded(path, 0.4)
    assert decoder.fed == 40
    assert sum(isinstance(item, VideoFrame) for item in media) == 20


@pytest.mark.parametrize(("codec", "limited"), [("libx264", True), ("mjpeg", False)])
def test_luma_is_the_decoders_own_and_says_its_range(
    tmp_path: Path, codec: str, limited: bool
) -> None:
    path = write_media(tmp_path / "a.mkv", codec=codec, seconds=0.2, sound=None)
    frame = next(item for item in decoded(path, 0.4)[1] if isinstance(item, VideoFrame))
    assert frame.limited is limited
    with av.open(str(path)) as container:
        full = next(container.decode(video=0)).to_ndarray(format="gray").astype(float)
    widened = np.clip((frame.grey.astype(float) - 16) * 255 / 219, 0, 255)
    np.testing.assert_allclose(widened if limited else frame.grey, full, atol=1)


def test_sound_is_handed_on_by_tenths_of_a_second(tmp_path: Path) -> None:
    path = write_media(tmp_path / "a.mkv", size=None, seconds=1, sound_hz=44_100)
    chunks = [item for item in decoded(path, 0.4)[1] if isinstance(item, AudioChunk)]
    assert {len(chunk.pcm) for chunk in chunks[:-1]} == {1600}
    ends_s = chunks[-1].pts_s + len(chunks[-1].pcm) / 16_000
    assert sum(len(chunk.pcm) for chunk in chunks) / 16_000 == pytest.approx(ends_s, abs=0.05)
    assert ends_s == pytest.approx(1.0, abs=0.05)


def test_a_picture_over_which_swscale_would_abort_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "a.nut"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("rawvideo", rate=5)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 3, "bayer_bggr8"
        picture = av.VideoFrame(64, 3, "bayer_bggr8")
        picture.pts, picture.time_base = 0, Fraction(1, 5)
        container.mux(stream.encode(picture))
    decoder, media = decoded(path, 0.4)
    assert (decoder.fed, decoder.damaged, media) == (0, 1, [])


def test_sound_of_a_few_hertz_does_not_fill_the_memory(tmp_path: Path) -> None:
    path = write_media(tmp_path / "a.flac", size=None, sound="flac", sound_hz=10, seconds=2000)
    decoder, media = decoded(path, 0.4)
    assert (decoder.fed, media) == (0, [])
    assert decoder.damaged > 0


def test_a_small_file_that_claims_a_vast_picture_does_not_fill_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    write_media(path, codec="gif", sound=None, pixels="rgb8", rate_hz=5)
    said = bytearray(path.read_bytes())
    said[6:10] = (20_000).to_bytes(2, "little") * 2
    path.write_bytes(said)
    decoder, media = decoded(path, 0.4)
    assert (decoder.fed, media) == (0, [])
    assert decoder.damaged > 0


@pytest.mark.parametrize(("level", "one_in"), [(Level.HALF, 2), (Level.QUARTER, 4)])
def test_pictures_that_are_left_out_are_counted_and_time_goes_on(
    with_b_frames: Path, level: Level, one_in: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Shedding, "level", level)
    metrics = Metrics(["door"])
    _, media = decoded(with_b_frames, 0.2, Relief(metrics.cameras["door"], Shedding()))
    steps = {int((item.pts_s + 1e-6) / 0.2): type(item) for item in pictures(media)}
    assert [step for step, kind in steps.items() if kind is VideoFrame] == list(
        range(one_in - 1, 20, one_in)
    )
    unseen = [step for step, kind in steps.items() if kind is Unseen]
    assert len(steps) == 20
    shed = metrics.reading().by("reason", "credence_shed_total", camera="door")
    assert shed["sampling"] == len(unseen)


def test_what_is_skipped_leaves_nothing_old_behind(tmp_path: Path) -> None:
    options = {**WITH_B_FRAMES, "g": "25", "keyint_min": "25"}
    path = write_media(tmp_path / "a.mkv", seconds=4, sound=None, options=options)
    _, media = decoded(path, 0.2, skips=lambda number: 10 <= number < 75)
    kinds = {round(item.pts_s, 2): type(item) for item in pictures(media)}
    assert list(kinds) == sorted(kinds)
    assert all(kind is (Unseen if 0.4 < at < 3.0 else VideoFrame) for at, kind in kinds.items())
    assert np.diff(list(kinds)).max() < 0.35


def pictures(media: list[Media]) -> list[VideoFrame | Unseen]:
    return [item for item in media if isinstance(item, VideoFrame | Unseen)]
