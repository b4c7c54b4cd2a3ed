"""Recordings that are damaged give what they still hold, or say in a sentence what is wrong."""

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from streamer.flow import Epoch
from streamer.source import UNKNOWN_START, UnreadableError
from tests.media import write_media
from tests.streamer.test_source import read, seconds, split, write_pictures


def test_read_survives_a_clock_that_jumps_far_ahead(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    write_pictures(path, [0, 400, 800, 2_000_000_000_000, 2_000_000_000_400])
    epoch, frames, _ = split(media := read(path))
    assert [round(frame.pts_s, 1) for frame in frames] == [0.0, 0.4, 0.8, 0.0, 0.4]
    assert sum(isinstance(item, Epoch) for item in media) == 2
    assert epoch.began == UNKNOWN_START


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_read_gives_what_a_truncated_file_still_holds(tmp_path: Path, share: float) -> None:
    whole = write_media(tmp_path / "a.mkv", seconds=4)
    data = whole.read_bytes()
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(data[: int(len(data) * share)])
    _, frames, _ = split(read(cut))
    assert 0 < len(frames) < 10


def test_read_truncated_mp4_without_index_is_one_sentence(tmp_path: Path) -> None:
    whole = write_media(tmp_path / "a.mp4", seconds=2)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[:20_000])
    with pytest.raises(UnreadableError, match="cut short"):
        read(cut)


def test_read_survives_corrupt_packets(tmp_path: Path) -> None:
    data = bytearray(write_media(tmp_path / "a.ts", seconds=4, sound="mp2").read_bytes())
    random = np.random.default_rng(3)
    for at in random.integers(2000, len(data) - 200, 60):
        data[at : at + 50] = random.bytes(50)
    (tmp_path / "b.ts").write_bytes(data)
    _, frames, chunks = split(read(tmp_path / "b.ts"))
    assert len(frames) >= 5
    assert seconds(chunks) > 2


@pytest.mark.parametrize("seed", range(24))
def test_read_survives_any_damage(tmp_path: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    name, sound = [("a.mkv", "libopus"), ("a.mp4", "aac"), ("a.ts", "mp2")][seed % 3]
    whole = write_media(tmp_path / name, seconds=1, sound=sound, sound_hz=48_000)
    data = bytearray(whole.read_bytes())
    for at in random.integers(0, len(data), 10 ** random.integers(0, 4)):
        data[at] = random.integers(256)
    damaged = tmp_path / "damaged"
    damaged.write_bytes(data[: random.integers(len(data) // 2, len(data))])
    with suppress(UnreadableError):
        read(damaged)
