"""What URLs, paths and MQTT topic levels may be. A refusal never repeats a URL: it may hold a
password."""

import re
from collections.abc import Sequence
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


def camera_url(text: str) -> str:
    """Refuse what is neither a stream nor a path."""
    if "://" not in text:
        return path(text)
    _network_url(text, ("rtsp", "http", "https"))
    return text


def mqtt_url(text: str) -> SplitResult:
    """Split the URL of a broker."""
    parts = _network_url(text, ("mqtt", "mqtts"))
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError(f"must end after the port, {_ESCAPE}")
    return parts


def _network_url(text: str, schemes: Sequence[str]) -> SplitResult:
    starts = tuple(f"{scheme}://" for scheme in schemes)
    if not text.lower().startswith(starts):
        raise ValueError(f"must begin with {' or '.join(starts)}")
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
