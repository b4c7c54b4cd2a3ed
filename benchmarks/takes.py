"""Clips of one talking face, cut to a square around it, to make films of several people of."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import av
import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.films import RATE_HZ, Picture
from engines.window import SAMPLE_RATE_HZ
from streamer.clip import read_sound
from streamer.config import Config
from streamer.faces import Finder
from streamer.flow import AudioChunk, VideoFrame
from streamer.speech import Segmenter

Pcm = npt.NDArray[np.int16]

_FACES = 3.0
"""Widths of the face in a side of the square."""
_QUIET_DB = 20.0
"""A pause is so far below the loudest twentieth of the clip, ..."""
_PAUSE_S = 0.3
"""... for at least so long, less what is left out at both ends, ..."""
_EDGE = 1
"""... in pictures: lips part before they are heard."""


@dataclass(frozen=True, slots=True, eq=False)
class Take:
    """A clip of one person who talks."""

    side_px: ClassVar[int] = 240

    name: str
    pictures: list[Picture]
    """25 a second, square."""
    pcm: Pcm
    """(samples,) at 16 kHz."""
    said_s: list[tuple[float, float]]
    """From when to when each utterance lasts."""
    pause: range
    """The pictures of the longest pause; empty where there is none."""

    @property
    def seconds(self) -> float:
        """How long the pictures last."""
        return len(self.pictures) / RATE_HZ

    def between(self, from_s: float, to_s: float) -> list[Picture]:
        """Return the pictures of a stretch."""
        return self.pictures[round(from_s * RATE_HZ) : round(to_s * RATE_HZ)]

    def listening(self, count: int) -> list[Picture]:
        """Return so many pictures of the pause, played to and fro; none where there is none."""
        return [self.pictures[i] for i in _to_and_fro(self.pause, count)]

    def talking(self, count: int) -> list[Picture]:
        """Return so many pictures from the first utterance on, to and fro."""
        begins = round(self.said_s[0][0] * RATE_HZ)
        return [self.pictures[i] for i in _to_and_fro(range(begins, len(self.pictures)), count)]


def read_take(path: Path, finder: Finder, config: Config) -> Take:
    """Read a clip in which one face is seen and one voice heard."""
    with av.open(str(path)) as container:
        pictures = [_rgb(frame) for frame in container.decode(video=0)]
    pcm = read_sound(path)
    segmenter = Segmenter(config.vad, config.windows.longest_s)
    said = [*segmenter.feed(AudioChunk(0.0, pcm)), *segmenter.close()]
    return Take(
        path.stem,
        _squares(pictures, finder),
        pcm,
        [(each.start_s, each.end_s) for each in said],
        _pause(pcm, len(pictures)),
    )


def _rgb(frame: av.VideoFrame) -> Picture:
    return frame.to_ndarray(format="rgb24").astype(np.uint8)


def _squares(pictures: list[Picture], finder: Finder) -> list[Picture]:
    """Cut the same square out of all pictures, around where the best face mostly is."""
    found = [place.box_px for p in pictures[::10] for place in finder.find(_frame(p, finder))[:1]]
    x, y, width, height = np.median(np.array(found), axis=0)
    half = _FACES * width / 2
    scale = Take.side_px / (2 * half)
    left, top = x + width / 2 - half, y + height / 2 - half
    turn = np.array([[scale, 0, -scale * left], [0, scale, -scale * top]])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    size = (Take.side_px, Take.side_px)
    return [cv2.warpAffine(p, turn, size, flags=how).astype(np.uint8) for p in pictures]


def _frame(picture: Picture, finder: Finder) -> VideoFrame:
    height, width = picture.shape[:2]
    scale = finder.small_px / max(height, width)
    size = (round(width * scale), round(height * scale))
    small = cv2.resize(picture[..., ::-1], size, interpolation=cv2.INTER_AREA)
    return VideoFrame(0.0, picture[..., 0], small.astype(np.uint8))


def _pause(pcm: Pcm, pictures: int) -> range:
    """Return the pictures of the longest stretch without speech."""
    width = SAMPLE_RATE_HZ // 10
    energy = np.convolve(np.square(pcm, dtype=np.float64), np.ones(width) / width, mode="same")
    level = 10 * np.log10(energy[:: SAMPLE_RATE_HZ // 100] + 1e-9)
    loud = np.flatnonzero(level > np.quantile(level, 0.95) - _QUIET_DB) / 100
    ends = [0.0, *loud.tolist(), len(level) / 100]
    start_s, end_s = max(pairwise(ends), key=lambda pair: pair[1] - pair[0])
    if end_s - start_s < _PAUSE_S:
        return range(0)
    return range(round(start_s * RATE_HZ) + _EDGE, min(round(end_s * RATE_HZ), pictures) - _EDGE)


def _to_and_fro(pictures: range, count: int) -> list[int]:
    there_and_back = [*pictures, *reversed(pictures)]
    return [there_and_back[i % len(there_and_back)] for i in range(count)] if pictures else []
