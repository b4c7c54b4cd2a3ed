"""Decoded frames → the pictures that are looked at: which, how large, and which way up."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorRange

from streamer.flow import Unseen, VideoFrame
from streamer.shedding import Relief

_LUMA_FIRST = ("yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "nv12", "gray")
"""Pixel formats with a plane of luma of eight bits."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which pictures are taken from a stream."""

    every_s: float
    """Distance of the sampled pictures."""
    small_px: int
    """The longer side of the pictures in which faces are looked for."""
    relief: Relief | None = None
    """What is left out where the machine falls behind; None leaves out nothing."""


class Pictures:
    """Decoded frames → the first picture in each step of the sampling grid."""

    def __init__(self, wanted: Sampling, rate_hz: float) -> None:
        self._every_s, self._small_px = wanted.every_s, wanted.small_px
        self._relief = wanted.relief
        self._period_s = 1 / rate_hz
        self._step = self._taken = -1
        self._last_s = -self._period_s

    def feed(self, frame: av.VideoFrame, at_s: float | None) -> Iterator[VideoFrame | Unseen]:
        """Yield the picture, or that it is left out; nothing between two steps.

        ``at_s`` is its time; None is a period after the last one's.
        """
        pts_s = self._last_s = self._last_s + self._period_s if at_s is None else at_s
        step = math.floor(pts_s / self._every_s + 1e-6)
        if step <= self._step:
            return
        self._step = step
        if self._relief and step < self._taken + self._relief.one_in:
            self._relief.thinned()
            yield Unseen(pts_s)
            return
        self._taken = step
        turns = round(frame.rotation / 90) % 4
        grey, limited = _luma(frame)
        shrink = min(1.0, self._small_px / max(frame.width, frame.height))
        small = frame.to_ndarray(
            format="bgr24",
            width=max(1, round(frame.width * shrink)),
            height=max(1, round(frame.height * shrink)),
            interpolation="AREA",
        )
        yield VideoFrame(pts_s, _turned(grey, turns), _turned(small, turns), limited)

    def skip(self, pts_s: float) -> Iterator[Unseen]:
        """Go on in time without a picture."""
        if (step := math.floor(pts_s / self._every_s + 1e-6)) > self._step:
            self._step = step
            yield Unseen(pts_s)


def _turned(picture: npt.NDArray[Any], turns: int) -> npt.NDArray[np.uint8]:
    return np.ascontiguousarray(np.rot90(picture, turns)) if turns else picture


def _luma(frame: av.VideoFrame) -> tuple[npt.NDArray[np.uint8], bool]:
    """Return the luma of a picture (H, W), and whether its range is limited."""
    plane = frame.planes[0]
    if frame.format.name not in _LUMA_FIRST or plane.line_size < 0:  # below 0 stands on its head
        return frame.to_ndarray(format="gray").astype(np.uint8), False
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    full = frame.format.name.startswith(("yuvj", "gray")) or frame.color_range == ColorRange.JPEG
    return rows[: frame.height, : frame.width], not full
