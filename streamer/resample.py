"""Decoded sound → mono at 16 kHz, in pieces of one length."""

from collections.abc import Iterator

import av
import numpy as np
import numpy.typing as npt

from engines.window import SAMPLE_RATE_HZ
from streamer.flow import AudioChunk

_CHUNK = SAMPLE_RATE_HZ // 10
"""Samples that are gathered before they are handed on: what is a packet differs by codec."""


class Sound:
    """Decoded sound → mono at 16 kHz, whatever it was and however often it changes."""

    def __init__(self) -> None:
        self._format: object = None
        self._resampler = _resampler()
        self._fed_s: float | None = None
        self._next_s = 0.0

    def feed(self, frame: av.AudioFrame, at_s: float | None) -> Iterator[AudioChunk]:
        """Yield what a frame completes, by tenths of a second.

        ``at_s`` is its time on the media clock; None is where the last one ended.
        """
        begins_s = self._fed_s if at_s is None else at_s
        # Within that the clock that counts samples is the smoother one.
        gap = begins_s is None or self._fed_s is None or abs(begins_s - self._fed_s) > 0.1
        coming = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._format not in (None, coming) or gap:
            yield from self.flush()
            self._resampler = _resampler()
        self._format = coming
        if gap:
            self._next_s = self._fed_s = begins_s or 0.0
        assert self._fed_s is not None
        self._fed_s += frame.samples / frame.sample_rate
        frame.pts = None
        yield from self._chunks(frame)

    def flush(self) -> Iterator[AudioChunk]:
        """Yield what is still held back where the sound ends or is interrupted."""
        if self._format is not None:
            yield from self._chunks(None)
        self._format = None

    def _chunks(self, given: av.AudioFrame | None) -> Iterator[AudioChunk]:
        try:
            frames = self._resampler.resample(given)
        except (av.FFmpegError, ValueError):  # sound that claims to be what it is not
            frames, self._resampler, self._next_s = [], _resampler(), self._fed_s or 0.0
        for frame in frames:
            pcm: npt.NDArray[np.int16] = frame.to_ndarray()[0]
            if len(pcm):
                yield AudioChunk(self._next_s, pcm)
                self._next_s += len(pcm) / SAMPLE_RATE_HZ


def _resampler() -> av.AudioResampler:
    return av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE_HZ, frame_size=_CHUNK)
