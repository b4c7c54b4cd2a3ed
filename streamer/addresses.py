"""What URLs, paths and MQTT topic levels may be. A refusal never repeats a URL: it may hold a
password."""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

_LEVEL = (
    "must be 1 to 100 characters that make an MQTT topic level, without / + # $, "
    "control characters or spaces at the ends"
)
_ESCAPE = "with / ? # of a password written as %2F %3F %23"


def topic_level(text: str) -> str:
    """Refuse what cannot stand between two slashes of an MQTT topic."""
    unfit = re.search(r"[/+#$\x00-\x1f\x7f-\x9f\ufdd0-\ufdef]", text) or any(
        ord(letter) & 0xFFFE == 0xFFFE for letter in text
    )
    if unfit or text != text.strip() or not 0 < len(text) <= 100:
        raise ValueError(_LEVEL)
    return text


def topic_prefix(text: str) -> str:
    """Refuse what is not one topic level, or several joined by slashes."""
    for level in text.split("/"):
        try:
            topic_level(level)
        except ValueError:
            raise ValueError(f"{_LEVEL}, or several such levels joined by /") from None
    return text


def path(text: str) -> str:
    """Refuse what no file can be called."""
    if not text or "\0" in text:
        raise ValueError("must name a file or folder")
    return text


def is_address(text: str) -> bool:
    """Whether text is meant as an address, if a wrong one, and so may hold a password.

    A path that begins like one is written with `./` before it.
    """
    return "://" in text or re.match(r"\s*[\w+.-]+:", text) is not None


def ip_address(text: str) -> str:
    """Refuse what is not the address of a network interface."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError("must be an IP address, such as 127.0.0.1 or 0.0.0.0") from None


_PORTS = {"rtsp": 554, "http": 80, "https": 443}
_HTTP_MAY = "http,https,httpproxy,tcp,tls,crypto,data"
"""A playlist from the network must not make this machine read its own files."""


def camera_url(text: str) -> str:
    """Refuse what no camera, webcam or file can be opened by."""
    Address.parse(text)
    return text


@dataclass(frozen=True, slots=True)
class Address:
    """Where a camera is, as FFmpeg wants to be told."""

    url: str = field(repr=False)
    """May hold a password."""
    format: str | None = None
    """FFmpeg's name of the input, where the URL does not tell."""
    transport: str | None = None
    """Of RTSP: tcp or udp."""
    host: str = ""
    port: int = 0
    has_login: bool = False
    shown: str = ""
    """The address for people: no credentials, and nothing that may be one."""
    keeps_pace: bool = False
    """Media comes when its time has come; else it must be paced."""
    ends: bool = False
    """The end is the end, and no loss."""

    @property
    def buffered(self) -> bool:
        """Whether nothing is lost when what comes is not taken at once."""
        return bool(self.host) and self.transport != "udp"

    @classmethod
    def parse(cls, text: str, transport: str = "tcp") -> "Address":
        """Read a camera's `url`; raise ValueError, without repeating it, if it is none."""
        if text.startswith("lavfi:"):
            return cls(path(text.removeprefix("lavfi:")), "lavfi", shown="lavfi")
        if text.startswith(("webcam:", "/dev/video")):
            return _webcam(text.removeprefix("webcam:"))
        if not is_address(text):
            return cls(path(text), shown=text, ends=True)
        also = " or webcam: or lavfi:, or be the path of a file (./a:b, not a:b)"
        parts = _network_url(text, tuple(_PORTS), also)
        scheme, host = parts.scheme.lower(), parts.hostname or ""
        return cls(
            text,
            transport=transport if scheme == "rtsp" else None,
            host=host,
            port=parts.port or _PORTS[scheme],
            has_login=parts.username is not None,
            # A path or a query may hold a password, too.
            shown=f"{scheme}://{parts.netloc.rpartition('@')[2]}",
            keeps_pace=scheme == "rtsp",
        )

    def options(self, timeout_s: float) -> dict[str, str]:
        """Return the options for FFmpeg. It silently ignores those that it does not know."""
        microseconds = str(round(timeout_s * 1e6))
        if self.transport:
            # Without measuring the frame rate first, pictures come most of a second earlier.
            options = {"timeout": microseconds, "fpsprobesize": "0"}
            # RTP's clock is unwrapped already; a clock set back would be taken for a wrap, which
            # is another time for pictures than for sound.
            options |= {"correct_ts_overflow": "0"}
            return {"rtsp_transport": self.transport, **options}
        if self.host:
            return {"timeout": microseconds, "protocol_whitelist": _HTTP_MAY}
        # A playlist must not make a file fetch from the network.
        return {"protocol_whitelist": "file"} if self.ends else {}


def _webcam(device: str) -> Address:
    if re.fullmatch(r"\d{1,3}", device, re.ASCII):
        device = f"/dev/video{device}"
    if not device.startswith("/"):
        raise ValueError("must name a webcam by number or device: webcam:0 or webcam:/dev/video0")
    return Address(path(device), "v4l2", shown=device, keeps_pace=True)


def mqtt_url(text: str) -> SplitResult:
    """Split the URL of a broker."""
    parts = _network_url(text, ("mqtt", "mqtts"))
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError(f"must end after the port, {_ESCAPE}")
    return parts


def http_url(text: str) -> SplitResult:
    """Split the URL of a service that takes its key in a header."""
    parts = _network_url(text, ("http", "https"))
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("must have no @ before its host, and no ? or #; give a key as api_key")
    return parts


def _network_url(text: str, schemes: Sequence[str], also: str = "") -> SplitResult:
    starts = tuple(f"{scheme}://" for scheme in schemes)
    if not text.lower().startswith(starts):
        raise ValueError(f"must begin with {' or '.join(starts)}{also}")
    if not text.isprintable() or " " in text:
        raise ValueError("must hold no spaces and no control characters")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError(f"must have a host and a port from 1 to 65535, {_ESCAPE}")
    if not parts.hostname:
        raise ValueError("must name a host")
    return parts
