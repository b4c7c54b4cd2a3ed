"""Packets of an opened stream → pictures and sound on one clock. Blocking."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import av
import structlog
from av.container import InputContainer
from av.stream import Disposition, Stream

from engines.window import SAMPLE_RATE_HZ
from streamer.clock import Clock
from streamer.flow import AudioChunk, Epoch, Media, VideoFrame
from streamer.resample import Sound
from streamer.sampling import Pictures, Sampling

log = structlog.get_logger()

T = TypeVar("T")

_DENSE = 8
"""Frames per sampled picture of which those that no other refers to are not decoded: encoders put
up to three of them in a row."""
_MOST_PX = "67108864"
"""Of a picture, twice 8K: a kilobyte may claim to hold one that fills the memory."""
_LEAST_HZ = 1000
"""Sound of a lower rate is none, and a packet of it would fill the memory once it is resampled."""


@dataclass(frozen=True, slots=True)
class Tracks:
    """What is decoded of an opened stream: at most one of each."""

    video: av.VideoStream | None
    audio: av.AudioStream | None

    @property
    def all(self) -> list[av.VideoStream | av.AudioStream]:
        """Those that there are."""
        return [track for track in (self.video, self.audio) if track is not None]

    def __str__(self) -> str:
        return ", ".join([_seen(self.video), _heard(self.audio)])


def find_tracks(container: InputContainer) -> Tracks:
    """Choose the first picture track that is no cover, and the first sound track."""
    pictures = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    video = next((s for s in pictures if s.codec_context is not None), None)
    audio = next((s for s in container.streams.audio if s.codec_context is not None), None)
    if video:
        video.codec_context.thread_count = 1  # the default takes every core, for each camera
        video.codec_context.options = {"max_pixels": _MOST_PX}
    return Tracks(video, audio)


class Decoder:
    """Packets of all tracks → media on one clock; a clock that jumps begins a new epoch."""

    def __init__(
        self,
        name: str,
        tracks: Tracks,
        sampling: Sampling,
        begin: Callable[[int, float], Epoch],
        *,
        zero_s: float | None = None,
    ) -> None:
        """``begin`` makes an epoch of its number and the seconds since the first one began.

        The clock stands at zero at ``zero_s``; None is the first frame. ``name`` is for the log.
        """
        self._name, self._sampling, self._begin = name, sampling, begin
        video = tracks.video
        self._rate_hz = float(video.average_rate or 25) if video else 25.0
        self._has_audio = tracks.audio is not None
        self._thinning = _Thinning(video) if video else None
        self._zero_s = zero_s
        self._clock: Clock | None = None
        self._skipped = False
        self.fed = 0
        """Frames decoded so far."""
        self.damaged = 0
        """Packets that could not be decoded and were skipped."""

    def feed(self, packet: "av.Packet[Stream]") -> Iterator[Media]:
        """Decode one packet of a track."""
        thinning = self._thinning if isinstance(packet.stream, av.VideoStream) else None
        if thinning:
            if self._skipped:  # what is still held was never asked for, and is old by now
                packet.stream.codec_context.flush_buffers()
                self._skipped = False
            thinning.packets += 1
        try:
            for frame in packet.decode():
                if thinning:
                    thinning.frames += 1
                if not _harmless(frame):
                    self.damaged += 1
                elif isinstance(frame, av.VideoFrame | av.AudioFrame):
                    for item in self._place(frame):
                        if thinning and isinstance(item, VideoFrame):
                            thinning.sampled()
                        yield item
        except av.FFmpegError:
            self.damaged += 1

    def skip(self, packet: "av.Packet[Stream]") -> Iterator[Media]:
        """Leave a packet undecoded."""
        if not isinstance(packet.stream, av.VideoStream):
            return
        self._skipped = True
        if (clock := self._clock) is None or packet.pts is None:
            return
        epoch, stamp_s = clock.epoch, float(packet.pts * packet.time_base)
        pts_s = clock.place("video", stamp_s)
        if clock.epoch != epoch:
            yield from self._begun(clock)
        yield from self._pictures.skip(pts_s)

    def flush(self) -> Iterator[Media]:
        """Yield what is still held back at the end."""
        if self.fed and self._has_audio:
            yield from self._sound.flush()

    def at_s(self, packet: "av.Packet[Stream]") -> float | None:
        """Return where a packet belongs on the media clock; None where that is not known."""
        if self._clock is None or packet.pts is None:
            return None
        return self._clock.at_s(packet.stream.type, float(packet.pts * packet.time_base))

    def renew(self) -> Iterator[Media]:
        """Begin a new epoch where this one has come to."""
        if self._clock:
            self._clock.renew()
            yield from self._begun(self._clock)

    def _place(self, frame: av.VideoFrame | av.AudioFrame) -> Iterator[Media]:
        stamp_s, sound = frame.time, isinstance(frame, av.AudioFrame)
        if self._clock is None:
            zero_s = (stamp_s or 0.0) if self._zero_s is None else self._zero_s
            self._clock = Clock(zero_s)
            yield self._epoch(self._clock)
        clock, epoch, now_s = self._clock, self._clock.epoch, self._clock.now_s
        self.fed += 1
        at_s = None if stamp_s is None else clock.place("audio" if sound else "video", stamp_s)
        if clock.epoch != epoch:
            log.warning(f"{self._name}: its clock jumps", after_s=round(now_s, 3))
            yield from self._begun(clock)
        if at_s is not None and at_s < 0 and clock.epoch:
            return  # of the other stream, from before the jump
        if isinstance(frame, av.VideoFrame):
            yield from self._pictures.feed(frame, at_s)
        else:
            yield from self._sound.feed(frame, at_s)

    def _begun(self, clock: Clock) -> Iterator[Media]:
        yield from self.flush()
        yield self._epoch(clock)

    def _epoch(self, clock: Clock) -> Epoch:
        self._pictures, self._sound = Pictures(self._sampling, self._rate_hz), Sound()
        return self._begin(clock.epoch, clock.passed_s)


def _harmless(frame: object) -> bool:
    """Whether a frame can be converted; swscale aborts the process over some pictures."""
    if isinstance(frame, av.AudioFrame):
        return frame.sample_rate >= _LEAST_HZ
    if not isinstance(frame, av.VideoFrame):
        return True
    kind = frame.format.name
    return not (kind.startswith("yaf") or (kind.startswith("bayer") and frame.height % 2))


def paced(media: Iterator[T], stop: threading.Event) -> Iterator[T]:
    """Hand out media when its time has come, as a camera would."""
    began = time.monotonic()
    for item in media:
        if isinstance(item, Epoch):
            began = time.monotonic()
        elif isinstance(item, VideoFrame | AudioChunk):
            heard_s = len(item.pcm) / SAMPLE_RATE_HZ if isinstance(item, AudioChunk) else 0.0
            stop.wait(max(0.0, item.pts_s + heard_s - (time.monotonic() - began)))
        yield item


def plain(error: Exception) -> str:
    """Say what FFmpeg says, without the address, which may hold a password."""
    text = str(getattr(error, "strerror", "") or error)
    return text[:1].lower() + text[1:]


class _Thinning:
    """Leaves frames undecoded that no other refers to, as long as enough others come."""

    def __init__(self, video: av.VideoStream) -> None:
        self._codec = video.codec_context
        self._dense, self._spares = False, True
        self.packets = 0
        """Of the stream since the last sampled picture."""
        self.frames = 0
        """Decoded since then."""

    def sampled(self) -> None:
        """A picture was sampled: decide what is decoded until the next one."""
        if self._dense and self.frames < 2:  # the next one came late
            self._spares = False
        # Counted, as what a camera announces for its rate is often not what it sends.
        dense = self._spares and self.packets >= _DENSE
        self.packets = self.frames = 0
        if dense != self._dense:
            self._dense = dense
            self._codec.skip_frame = "NONREF" if dense else "DEFAULT"


def _seen(video: av.VideoStream | None) -> str:
    if video is None:
        return "no picture"
    rate = f" at {float(video.average_rate):.3g}/s" if video.average_rate else ""
    return f"{video.codec_context.name} {video.width}x{video.height}{rate}"


def _heard(audio: av.AudioStream | None) -> str:
    return f"{audio.codec_context.name} {audio.rate} Hz" if audio else "no sound"
