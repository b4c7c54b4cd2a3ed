"""Recordings → media. Blocking; runs on a thread of its own."""

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import av
import structlog
from av.container import InputContainer

from engines.errors import CredenceError
from engines.manifest import sha256
from streamer.addresses import is_address
from streamer.decode import Decoder, find_tracks, paced, plain
from streamer.flow import Epoch, Media
from streamer.sampling import Sampling
from streamer.times import utc

log = structlog.get_logger()

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
        tracks, content = find_tracks(container), sha256(self.path)[:16]
        if not tracks.all:
            raise UnreadableError(self.path, "there is neither video nor sound in it")
        first = self.began or self._recorded(container)

        def begin(number: int, after_s: float) -> Epoch:
            return Epoch(
                id=f"{content}-{number}",
                began=first + timedelta(seconds=after_s),
                has_video=tracks.video is not None,
                has_audio=tracks.audio is not None,
                media=str(tracks),
            )

        sampling = Sampling(self.sample_every_s, self.small_px)
        zero_s = (container.start_time or 0) / av.time_base
        decoder = Decoder(self.path.name, tracks, sampling, begin, zero_s=zero_s)
        try:
            for packet in container.demux(tracks.all):
                if stop.is_set():
                    return
                yield from decoder.feed(packet)
        except av.FFmpegError as error:
            log.warning("recording ends early", file=self.path.name, reason=plain(error))
        yield from decoder.flush()
        if decoder.damaged:
            log.warning(
                "damaged packets were skipped", file=self.path.name, packets=decoder.damaged
            )
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


def _opened(path: Path) -> InputContainer:
    if is_address(str(path)) and not path.exists():
        # Not repeated: it may hold a password.
        hidden = Path(f"{str(path).partition(':')[0]}:…")
        raise UnreadableError(hidden, "this is an address; a camera there is for `credence run`")
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


def unreadable(paths: Iterable[Path]) -> list[UnreadableError]:
    """Return why recordings cannot be opened, of those that cannot. Blocks."""
    problems = []
    for path in paths:
        try:
            _opened(path).close()
        except UnreadableError as error:
            problems.append(error)
    return problems


def length_s(path: Path) -> float | None:
    """Return how long a recording says it is; None where it does not say, or cannot be read."""
    try:
        with _opened(path) as container:
            return container.duration / av.time_base if container.duration else None
    except UnreadableError:
        return None
