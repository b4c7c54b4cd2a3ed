"""Cameras → media: RTSP, HTTP and HLS, webcams, and files played as if they were one.

Blocking; each connection runs on a thread of its own.
"""

import errno
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from itertools import chain

import av
import structlog
from av.codec.hwaccel import HWAccel, hwdevices_available
from av.container import InputContainer
from av.stream import Stream

from engines.errors import CredenceError
from streamer.addresses import Address
from streamer.arrivals import Arrivals
from streamer.backlog import Backlog, Skipping
from streamer.decode import Decoder, Tracks, find_tracks, paced, plain
from streamer.flow import Epoch, Media, Notice, VideoFrame
from streamer.picture import PictureWatch
from streamer.pulse import Pulse
from streamer.sampling import Sampling
from streamer.shedding import Relief
from streamer.threads import give_way

log = structlog.get_logger()

TIMEOUT_S = 10.0
"""A camera that is silent for longer is lost."""

_REST_S = 0.1
_WAITED_S = 0.002
"""A packet that was waited for longer was the last one that there was, or the machine is busy."""


class CameraError(CredenceError):
    """A camera cannot be opened, or was lost."""

    def __init__(self, camera: str, problem: str, *, denied: bool = False) -> None:
        super().__init__(f"camera {camera}: {problem}")
        self.camera, self.problem = camera, problem
        self.denied = denied
        """Whether it does not let this user in: to ask often may lock the account."""


@dataclass(frozen=True, slots=True)
class Live:
    """One connection to one camera at a time; each `read` is a new one."""

    camera: str
    """Its name, for errors and the log."""
    address: Address
    sampling: Sampling
    timeout_s: float = TIMEOUT_S
    decoder: str = "cpu"
    """What decodes pictures: `cpu`, or FFmpeg's name of a kind of device that is to be tried."""
    watch: Callable[[], PictureWatch] = field(default=PictureWatch, repr=False)
    relief: Relief | None = field(default=None, repr=False)
    """What is left out where the machine falls behind; None leaves out nothing."""
    backlog: Backlog = field(default_factory=Backlog, repr=False)
    """How late packets are taken."""

    def read(self, stop: threading.Event, pulse: Pulse | None = None) -> Iterator[Media | Notice]:
        """Connect and yield an Epoch, then pictures and sound, until ``stop`` is set.

        A Notice says when pictures begin to show nothing, and when they show something again.
        ``pulse`` is told of each packet, by time.monotonic().

        The media clock stands at zero at the first packet. Raises CameraError when the camera
        cannot be reached or is lost; only a file just ends.
        """
        media = self._media(stop, pulse or Pulse())
        return media if self.address.keeps_pace else paced(media, stop)

    def _media(self, stop: threading.Event, pulse: Pulse) -> Iterator[Media | Notice]:
        with self._opened() as container:
            tracks = find_tracks(container)
            if not tracks.all:
                raise CameraError(self.camera, "it sends neither video nor sound")
            if device(self.decoder) and tracks.video and not tracks.video.codec_context.is_hwaccel:
                said = f"{self.decoder} does not decode its pictures, the processor does"
                log.warning(f"camera {self.camera}: {said}")
            decoder, watch = self._decoder(container, tracks), self.watch()
            arrivals, skipping = Arrivals(tell=self.address.keeps_pace), Skipping(self.backlog)
            for packet in self._packets(container, tracks, stop, pulse):
                at_s, sound = decoder.at_s(packet), packet.stream is tracks.audio
                skips = self._skips(packet, skipping)
                media = decoder.skip(packet) if skips else decoder.feed(packet)
                if at_s is not None and arrivals.lost(at_s, sound=sound):
                    log.info(f"camera {self.camera}: a clock was set, or drifts; times begin anew")
                    media = chain(decoder.renew(), media)
                for item in media:
                    if isinstance(item, Epoch):
                        watch = self.watch()  # which goes by the epoch's clock
                    if isinstance(item, VideoFrame) and (notice := watch.look(item)):
                        yield notice
                    if isinstance(item, Epoch) or item.pts_s >= 0:  # before is no place
                        yield arrivals.marked(item)
            yield from decoder.flush()
            if not decoder.fed and not stop.is_set():
                raise CameraError(self.camera, "nothing in it can be decoded")

    def _decoder(self, container: InputContainer, tracks: Tracks) -> Decoder:
        def begin(number: int, _after_s: float) -> Epoch:
            now = datetime.now(UTC)
            return Epoch(
                id=str(round(now.timestamp() * 1000) + number),  # several may begin at once
                began=now,
                has_video=tracks.video is not None,
                has_audio=tracks.audio is not None,
                media=str(tracks),
            )

        zero_s = None
        if self.address.ends and container.start_time is not None:
            zero_s = container.start_time / av.time_base  # sound may begin with what is cut off
        name = f"camera {self.camera}"
        return Decoder(name, tracks, self.sampling, begin, zero_s=zero_s)

    def _packets(
        self, container: InputContainer, tracks: Tracks, stop: threading.Event, pulse: Pulse
    ) -> Iterator["av.Packet[Stream]"]:
        """Yield packets until told to stop, or to the end of a file.

        Where the sender or the kernel keeps what comes meanwhile, several are taken at a time:
        a processor that wakes up for each one spends half as much again on it.
        """
        any_came, backlog, first = False, self.backlog, tracks.all[0]
        backlog.begin()
        try:
            asked_s = time.monotonic()
            for packet in container.demux(tracks.all):
                came_s = time.monotonic()
                if self.address.host and came_s - asked_s >= self.timeout_s:
                    # FFmpeg hands out what it had begun, and would wait as long once more.
                    raise CameraError(self.camera, f"the connection was lost ({_NOTHING})")
                waited = came_s - asked_s > _WAITED_S
                if packet.stream is first and packet.dts is not None:
                    backlog.took(float(packet.dts * packet.time_base), came_s)
                if stop.is_set():
                    return
                if packet.size:
                    pulse.took("picture" if packet.stream is tracks.video else "sound", came_s)
                if packet.size or any_came:
                    any_came = True
                    yield packet
                if waited and self.address.buffered and not backlog.behind:
                    stop.wait(_REST_S)
                asked_s = time.monotonic()
        except av.FFmpegError as error:
            raise CameraError(self.camera, f"the connection was lost ({_reason(error)})") from None
        if not self.address.ends:
            raise CameraError(self.camera, "it ended the connection" if any_came else _EMPTY)

    def _skips(self, packet: "av.Packet[Stream]", skipping: Skipping) -> bool:
        """Tell whether a packet is to be left undecoded, and count it then."""
        if not self.relief or not packet.size:
            return False
        picture, now_s = isinstance(packet.stream, av.VideoStream), time.monotonic()
        late_s, may = self.relief.late_s, self.relief.skips
        if may and not skipping.armed:  # what is decoded has to be judged, too
            skipping.armed = True
            give_way()
        skips = skipping.leaves(late_s, now_s, picture=picture, key=packet.is_keyframe, may=may)
        if skips:
            self.relief.metrics.dropped("undecoded")
        return skips

    def _opened(self) -> InputContainer:
        address, began_s = self.address, time.monotonic()
        try:
            return av.open(
                address.url,
                format=address.format,
                options=address.options(self.timeout_s),
                timeout=self.timeout_s,
                hwaccel=device(self.decoder),
            )
        except (av.FFmpegError, OSError, ValueError) as error:
            silent = time.monotonic() - began_s >= self.timeout_s
            problem = _SILENT if silent else _why(error, address)
            denied = isinstance(error, (av.HTTPUnauthorizedError, av.HTTPForbiddenError))
        # Outside of the handler: what FFmpeg raised holds the address with its password.
        raise CameraError(self.camera, problem, denied=denied)


@cache
def device(kind: str) -> HWAccel | None:
    """Return what decodes, of FFmpeg's name of a kind of device; None for `cpu`.

    Also None where no such device works here, which is said once.
    """
    if kind == "cpu":
        return None
    why = "this build of FFmpeg does not know it"
    if kind in hwdevices_available():
        try:
            av.CodecContext.create("h264", "r", hwaccel=HWAccel(kind))
        except (av.FFmpegError, OSError, RuntimeError) as error:
            why = plain(error)
        else:
            return HWAccel(kind)
    log.warning(f"{kind} decodes no pictures here, the processor does ({why})")
    return None


_NOTHING = "nothing came any more"
_EMPTY = "it sent nothing and ended the connection"
_SILENT = "no answer in time; is it switched on, and the address right?"


def _why(error: Exception, address: Address) -> str:
    """Say why a camera could not be opened, and what to do; never with its address."""
    match error:
        case av.HTTPUnauthorizedError() if address.has_login:
            return "wrong user name or password; correct them in its url (/ ? # as %2F %3F %23)"
        case av.HTTPUnauthorizedError():
            return "it wants a user name and password; put USER:PASSWORD@ before the host"
        case av.HTTPForbiddenError():
            return "this user may not see the stream; allow it in the camera's settings"
        case av.HTTPNotFoundError():
            return "there is no such stream; look up the path in the camera's manual"
        case ConnectionRefusedError():
            return "connection refused; is the port right, and the stream switched on?"
        case FileNotFoundError():
            return f"there is no such {'device' if address.format else 'file'}"
        case IsADirectoryError():
            return "this is a folder; name a file in it"
        case PermissionError() if address.format:
            return "this user may not use the device; add it to the group video"
        case PermissionError():
            return "this user may not read the file"
        case TimeoutError() | av.ExitError():
            return _SILENT
        case OSError(errno=errno.EBUSY):
            return "another program uses the device; close it"
        case OSError(errno=errno.EPROTONOSUPPORT):
            return "it does not offer this transport; set transport to the other of tcp and udp"
        case _ if address.host and not _known(address.host):
            return f"host name {address.host} not found; check its url"
        case av.InvalidDataError() if address.transport:
            return "it does not answer as RTSP does; is the port right?"
        case av.InvalidDataError():
            return "what it sends is not video or sound that FFmpeg can read"
        case _:
            return f"cannot be opened ({plain(error)})"


def _known(host: str) -> bool:
    try:
        socket.getaddrinfo(host, None)
    except (OSError, UnicodeError):
        return False
    return True


def _reason(error: av.FFmpegError) -> str:
    silent = isinstance(error, (av.ExitError, TimeoutError))
    return _NOTHING if silent else plain(error)
