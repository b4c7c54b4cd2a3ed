"""A clip as a camera would send it: its description, and packets of RTP with the time of each."""

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import av


@dataclass(frozen=True, slots=True)
class Packet:
    """What one track sends at one time: RTP, or RTCP now and then."""

    due_s: float
    """Since the clip began."""
    track: int
    data: bytes

    @property
    def control(self) -> bool:
        """Whether it is RTCP (RFC 5761, section 4)."""
        return 200 <= self.data[1] <= 204

    def stamped(self, by: int) -> "Packet":
        """Return it with a timestamp that is later by so many ticks (RFC 3550, 5.1 and 6.4.1)."""
        at = 16 if self.control else 4
        stamp = (int.from_bytes(self.data[at : at + 4], "big") + by) % 2**32
        return replace(self, data=self.data[:at] + stamp.to_bytes(4, "big") + self.data[at + 4 :])


def packets(clip: Path, *, rounds: int | None = 1) -> Iterator[Packet]:
    """Yield the packets of a clip in the order in which they are due; None plays it for ever."""
    muxers: dict[int, _Muxer] = {}
    offset_s = 0.0
    for _ in count() if rounds is None else range(rounds):
        with av.open(str(clip)) as given:
            for stream in given.streams:
                if stream.index not in muxers:
                    muxers[stream.index] = _Muxer(stream)
            timed = [packet for packet in given.demux() if packet.dts is not None]
            lasting_s = max((given.duration or 0) / av.time_base, _lasting_s(timed))
            for packet in sorted(timed, key=_when_s):
                yield from muxers[packet.stream.index].pack(packet, offset_s)
            offset_s += lasting_s


@dataclass(eq=False)
class _Muxer:
    """FFmpeg's own for RTP, writing to memory."""

    template: Any
    waiting: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        options = {"packetsize": "1400"}
        self._container = av.open(self, "w", format="rtp", options=options)
        self._stream = self._container.add_stream_from_template(self.template)

    def write(self, data: bytes) -> int:
        self.waiting.append(bytes(data))
        return len(data)

    def pack(self, packet: Any, offset_s: float) -> Iterator[Packet]:
        track, packet.stream = packet.stream.index, self._stream
        shift = round(offset_s / packet.time_base)
        packet.pts, packet.dts = (packet.pts or 0) + shift, (packet.dts or 0) + shift
        due_s = _when_s(packet)
        self._container.mux(packet)
        for data in self.waiting:
            yield Packet(due_s, track, data)
        self.waiting.clear()


def _lasting_s(timed: list[Any]) -> float:
    """Return how long the longest track lasts: sound may begin before the clip does."""
    tracks = {packet.stream.index for packet in timed}
    spans_s = []
    for track in tracks:
        own = [packet for packet in timed if packet.stream.index == track]
        end_s = max(_when_s(packet) + float(packet.duration * packet.time_base) for packet in own)
        spans_s.append(end_s - min(map(_when_s, own)))
    return max(spans_s, default=0.0)


def _when_s(packet: Any) -> float:
    return float(packet.dts * packet.time_base)


def describe(clip: Path) -> str:
    """Return the clip's description for clients: SDP, with control=N for track N.

    Raises ValueError for codecs other than H.264, AAC, Opus and PCMU.
    """
    lines = ["v=0", "o=- 0 0 IN IP4 127.0.0.1", "s=clip", "c=IN IP4 127.0.0.1", "t=0 0"]
    with av.open(str(clip)) as container:
        for stream in container.streams:
            media, codec, parameters = _described(stream.codec_context)
            number = media.split()[-1]
            lines += [media, f"a=rtpmap:{number} {codec}"]
            lines += [f"a=fmtp:{number} {parameters}"] if parameters else []
            lines += [f"a=control:track={stream.index}"]
    return "\r\n".join(lines) + "\r\n"


def _described(codec: Any) -> tuple[str, str, str]:
    extra = bytes(codec.extradata or b"")
    match codec.name:
        case "h264":
            sets = ",".join(b64encode(unit).decode() for unit in _parameter_sets(extra))
            more = f"packetization-mode=1;sprop-parameter-sets={sets}"
            return "m=video 0 RTP/AVP 96", "H264/90000", more
        case "aac":
            more = "streamtype=5;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3"
            rtpmap = f"MPEG4-GENERIC/{codec.sample_rate}/{codec.layout.nb_channels}"
            return "m=audio 0 RTP/AVP 97", rtpmap, f"{more};config={extra.hex()}"
        case "opus" | "libopus":
            return "m=audio 0 RTP/AVP 97", "opus/48000/2", ""
        case "pcm_mulaw":
            return "m=audio 0 RTP/AVP 0", "PCMU/8000", ""
    raise ValueError(codec.name)


def _parameter_sets(avcc: bytes) -> Iterator[bytes]:
    at = 5
    for counted in (31, 255):  # sequence sets, whose count has five bits, then picture sets
        number, at = avcc[at] & counted, at + 1
        for _ in range(number):
            size = int.from_bytes(avcc[at : at + 2], "big")
            yield avcc[at + 2 : at + 2 + size]
            at += 2 + size
