"""Recordings → media. Blocking; runs on a thread of its own."""

import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import av
import structlog
from av.container import InputContainer

from engines.errors import CredenceError
from engines.manifest import sha256
from streamer.decode import Decoder, Sampling, Tracks, find_tracks, paced, plain
from streamer.flow import Epoch, Media

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
        return paced(media, stop) if self.realtime else media

    def _media(self, stop: threading.Event) -> Iterator[Media]:
        with _opened(self.path) as container:
            yield from self._decoded(container, stop)

    def _decoded(self, container: InputContainer, stop: threading.Event) -> Iterator[Media]:
        tracks = find_tracks(container)
        if not tracks.all:
            raise UnreadableError(self.path, "there is neither video nor sound in it")
        timeline = _Timeline(self, container, tracks, self.began or self._recorded(container))
        damaged = 0
        try:
            for packet in container.demux(tracks.all):
                if stop.is_set():
                    return
                try:
                    for frame in packet.decode():
                        if isinstance(frame, av.VideoFrame | av.AudioFrame):
                            yield from timeline.feed(frame)
                except av.FFmpegError:
                    damaged += 1
        except av.FFmpegError as error:
            log.warning("recording ends early", file=self.path.name, reason=plain(error))
        yield from timeline.flush()
        if damaged:
            log.warning("damaged packets were skipped", file=self.path.name, packets=damaged)
        if not timeline.fed:
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


class _Timeline:
    """Frames of all streams → media on one clock; a clock that jumps begins a new epoch."""

    def __init__(
        self, wanted: Recording, container: InputContainer, tracks: Tracks, began: datetime
    ) -> None:
        self._wanted, self._tracks, self._began = wanted, tracks, began
        self._sampling = Sampling(wanted.sample_every_s, wanted.small_px)
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
        yield from self._decoder.convert(frame)

    def flush(self) -> Iterator[Media]:
        if self.fed:
            yield from self._decoder.flush()

    def _jump(self, to_s: float) -> Iterator[Media]:
        yield from self.flush()
        gap_s = to_s - self._latest_s
        passed_s = self._latest_s - self._zero_s + (gap_s if 0 < gap_s < _DAY_S else 0.0)
        self._began += timedelta(seconds=passed_s)
        log.warning("the clock of the recording jumps", file=self._wanted.path.name, by_s=gap_s)
        self._former_s, self._zero_s, self._latest_s = self._latest_s, to_s, to_s
        yield self._epoch()

    def _epoch(self) -> Epoch:
        self._decoder = Decoder(self._tracks, self._sampling, self._zero_s)
        number, self._epochs = self._epochs, self._epochs + 1
        return Epoch(
            id=f"{self._content}-{number}",
            began=self._began,
            has_video=self._tracks.video is not None,
            has_audio=self._tracks.audio is not None,
        )


def _opened(path: Path) -> InputContainer:
    if ":/" in str(path) and not path.exists():
        raise UnreadableError(path, "this is an address; a camera there is for `credence run`")
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
            path, f"not a recording that FFmpeg can read ({plain(error)}), or it was cut short"
        ) from error


def utc(text: str) -> datetime:
    """Read a time of ISO 8601, in UTC unless it says otherwise; ValueError if it is none."""
    time = datetime.fromisoformat(text)
    if not 1900 < time.year < 9000:
        raise ValueError(f"{text!r} is not a year of recordings")
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
