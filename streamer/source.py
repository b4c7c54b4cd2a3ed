"""Recordings → media: decoding, sampling, resampling. Blocking; runs on a thread of its own."""

import math
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import structlog
from av.container import InputContainer
from av.stream import Disposition

from engines.errors import CredenceError
from engines.manifest import sha256
from engines.window import SAMPLE_RATE_HZ
from streamer.flow import AudioChunk, Epoch, Media, VideoFrame

log = structlog.get_logger()

_BACK_S = 1.0
_AHEAD_S = 10.0
"""A clock that steps further back or ahead than these was set anew."""
_STRAGGLE_S = 2.0
"""How long after a jump one stream may still deliver what the other has left behind."""
_DAY_S = 86_400.0

UNKNOWN_START = datetime.fromtimestamp(0, UTC)
"""Where event times count from when a recording does not say when it began."""


class UnreadableError(CredenceError):
    """A recording cannot be played."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path, self.problem = path, problem


@dataclass(frozen=True, slots=True)
class Recording:
    """A file to be read as media, at its own pace or as fast as it goes."""

    path: Path
    sample_every_s: float
    """Distance of the sampled pictures."""
    small_px: int
    """The longer side of the pictures in which faces are looked for."""
    began: datetime | None = None
    """When it was recorded; None takes it from the file."""
    realtime: bool = False
    """Hand out media when its time has come, as a camera would."""

    def read(self, stop: threading.Event) -> Iterator[Media]:
        """Read the file to its end, or until ``stop`` is set.

        Yields an Epoch, then pictures and sound in the order of the file. Damaged packets are
        skipped and counted in the log. Raises UnreadableError if nothing can be read.
        """
        media = self._media(stop)
        return _paced(media, stop) if self.realtime else media

    def _media(self, stop: threading.Event) -> Iterator[Media]:
        with _opened(self.path) as container:
            yield from self._decoded(container, stop)

    def _decoded(self, container: InputContainer, stop: threading.Event) -> Iterator[Media]:
        streams = [stream for stream in _streams(container) if stream is not None]
        if not streams:
            raise UnreadableError(self.path, "there is neither video nor sound in it")
        decoder = _Decoder(self, container, self.began or self._recorded(container))
        damaged = 0
        try:
            for packet in container.demux(streams):
                if stop.is_set():
                    return
                try:
                    for frame in packet.decode():
                        if isinstance(frame, av.VideoFrame | av.AudioFrame):
                            yield from decoder.feed(frame)
                except av.FFmpegError:
                    damaged += 1
        except av.FFmpegError as error:
            log.warning("recording ends early", file=self.path.name, reason=_plain(error))
        yield from decoder.flush()
        if damaged:
            log.warning("damaged packets were skipped", file=self.path.name, packets=damaged)
        if not decoder.fed:
            raise UnreadableError(self.path, "nothing in it can be decoded")

    def _recorded(self, container: InputContainer) -> datetime:
        try:
            return utc(container.metadata["creation_time"])
        except (KeyError, ValueError):
            log.warning(
                "the recording does not say when it began; event times count from 1970-01-01"
                " (give --start)",
                file=self.path.name,
            )
            return UNKNOWN_START


class _Decoder:
    """Frames of all streams → media on one clock; a clock that jumps begins a new epoch."""

    def __init__(self, wanted: Recording, container: InputContainer, began: datetime) -> None:
        video, audio = _streams(container)
        self._wanted, self._began = wanted, began
        self._rate_hz = float(video.average_rate or 25) if video else 0.0
        self._has_audio = audio is not None
        self._content = sha256(wanted.path)[:16]
        self._epochs = 0
        self._zero_s = (container.start_time or 0) / av.time_base
        self._latest_s = self._zero_s
        self._former_s = math.inf
        self.fed = 0
        """Frames decoded so far."""

    def feed(self, frame: av.VideoFrame | av.AudioFrame) -> Iterator[Media]:
        if not self.fed:
            yield self._epoch()
        self.fed += 1
        if frame.pts is not None and frame.time_base is not None:
            time_s = float(frame.pts * frame.time_base)
            far = abs(time_s - self._latest_s) > _BACK_S
            if far and abs(time_s - self._former_s) < _STRAGGLE_S:
                return  # of the other stream, from before the jump
            if not -_BACK_S <= time_s - self._latest_s <= _AHEAD_S:
                yield from self._jump(time_s)
            self._latest_s = max(self._latest_s, time_s)
        if isinstance(frame, av.VideoFrame):
            yield from self._pictures.feed(frame)
        else:
            yield from self._sound.feed(frame)

    def flush(self) -> Iterator[Media]:
        if self.fed and self._has_audio:
            yield from self._sound.flush()

    def _jump(self, to_s: float) -> Iterator[Media]:
        yield from self.flush()
        gap_s = to_s - self._latest_s
        passed_s = self._latest_s - self._zero_s + (gap_s if 0 < gap_s < _DAY_S else 0.0)
        self._began += timedelta(seconds=passed_s)
        log.warning("the clock of the recording jumps", file=self._wanted.path.name, by_s=gap_s)
        self._former_s, self._zero_s, self._latest_s = self._latest_s, to_s, to_s
        yield self._epoch()

    def _epoch(self) -> Epoch:
        self._pictures = _Pictures(self._wanted, self._rate_hz or 25.0, self._zero_s)
        self._sound = _Sound(self._zero_s)
        number, self._epochs = self._epochs, self._epochs + 1
        return Epoch(
            id=f"{self._content}-{number}",
            began=self._began,
            has_video=self._rate_hz > 0,
            has_audio=self._has_audio,
        )


class _Pictures:
    """Decoded frames → the first picture in each step of the sampling grid."""

    def __init__(self, wanted: Recording, rate_hz: float, zero_s: float) -> None:
        self._every_s, self._small_px = wanted.sample_every_s, wanted.small_px
        self._period_s, self._zero_s = 1 / rate_hz, zero_s
        self._step = -1
        self._last_s = -self._period_s

    def feed(self, frame: av.VideoFrame) -> Iterator[VideoFrame]:
        pts_s = self._time(frame)
        step = math.floor(pts_s / self._every_s + 1e-6)
        if step <= self._step:
            return
        self._step = step
        turns = round(frame.rotation / 90) % 4
        grey = np.rot90(frame.to_ndarray(format="gray"), turns)
        shrink = min(1.0, self._small_px / max(frame.width, frame.height))
        small = frame.to_ndarray(
            format="bgr24",
            width=max(1, round(frame.width * shrink)),
            height=max(1, round(frame.height * shrink)),
            interpolation="AREA",
        )
        yield VideoFrame(
            pts_s, np.ascontiguousarray(grey), np.ascontiguousarray(np.rot90(small, turns))
        )

    def _time(self, frame: av.VideoFrame) -> float:
        if frame.pts is not None and frame.time_base is not None:
            self._last_s = float(frame.pts * frame.time_base) - self._zero_s
        else:
            self._last_s += self._period_s
        return self._last_s


class _Sound:
    """Decoded sound → mono at 16 kHz, whatever it was and however often it changes."""

    def __init__(self, zero_s: float) -> None:
        self._zero_s = zero_s
        self._format: object = None
        self._resampler = _resampler()
        self._next_s: float | None = None

    def feed(self, frame: av.AudioFrame) -> Iterator[AudioChunk]:
        coming = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._format not in (None, coming):
            yield from self.flush()
            self._resampler = _resampler()
        self._format = coming
        next_s = self._next_s or 0.0
        if frame.pts is not None and frame.time_base is not None:
            begins_s = float(frame.pts * frame.time_base) - self._zero_s
            # Within that the resampler's own clock is the smoother one.
            if self._next_s is None or abs(begins_s - next_s) > 0.1:
                next_s = begins_s
        self._next_s = next_s
        frame.pts = None
        yield from self._chunks(frame)

    def flush(self) -> Iterator[AudioChunk]:
        if self._format is not None:
            yield from self._chunks(None)
        self._format = None

    def _chunks(self, given: av.AudioFrame | None) -> Iterator[AudioChunk]:
        try:
            frames = self._resampler.resample(given)
        except (av.FFmpegError, ValueError):  # sound that claims to be what it is not
            frames, self._resampler = [], _resampler()
        for frame in frames:
            pcm: npt.NDArray[np.int16] = frame.to_ndarray()[0]
            if len(pcm) and self._next_s is not None:
                yield AudioChunk(self._next_s, pcm)
                self._next_s += len(pcm) / SAMPLE_RATE_HZ


def _resampler() -> av.AudioResampler:
    return av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE_HZ)


def _opened(path: Path) -> InputContainer:
    if path.is_dir():
        raise UnreadableError(path, "this is a folder; name a file in it")
    if path.exists() and not path.is_file():
        raise UnreadableError(path, "this is no regular file")
    if path.exists() and path.stat().st_size == 0:
        raise UnreadableError(path, "the file is empty")
    try:
        # A playlist must not make a replay fetch from the network.
        return av.open(f"file:{path}", options={"protocol_whitelist": "file"})
    except FileNotFoundError as error:
        raise UnreadableError(path, "there is no such file") from error
    except PermissionError as error:
        raise UnreadableError(path, "this user may not read the file") from error
    except (av.FFmpegError, OSError, ValueError) as error:
        raise UnreadableError(
            path, f"not a recording that FFmpeg can read ({_plain(error)}), or it was cut short"
        ) from error


def _streams(
    container: InputContainer,
) -> tuple[av.VideoStream | None, av.AudioStream | None]:
    pictures = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    video = next((s for s in pictures if s.codec_context is not None), None)
    audio = next((s for s in container.streams.audio if s.codec_context is not None), None)
    if video:
        video.codec_context.thread_count = 1  # the default takes every core, for each camera
    return video, audio


def _paced(media: Iterator[Media], stop: threading.Event) -> Iterator[Media]:
    began = time.monotonic()
    for item in media:
        if isinstance(item, Epoch):
            began = time.monotonic()
        else:
            stop.wait(max(0.0, item.pts_s - (time.monotonic() - began)))
        yield item


def utc(text: str) -> datetime:
    """Read a time of ISO 8601, in UTC unless it says otherwise; ValueError if it is none."""
    time = datetime.fromisoformat(text)
    if not 1900 < time.year < 9000:
        raise ValueError(f"{text!r} is not a year of recordings")
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)


def _plain(error: Exception) -> str:
    text = str(getattr(error, "strerror", "") or error)
    return text[:1].lower() + text[1:]
