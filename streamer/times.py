"""Times as people write them."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def utc(text: str) -> datetime:
    """Read a time of ISO 8601, in UTC unless it says otherwise; ValueError if it is none."""
    time = datetime.fromisoformat(text)
    if not 1900 < time.year < 9000:
        raise ValueError(f"{text!r} is not a year of recordings")
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)


def moment(text: str, now: datetime) -> datetime:
    """Read how long ago, as `90m`, `2h` or `1.5d`, or a time as `utc`.

    Raises ValueError, or OverflowError where it is before all time.
    """
    if ago := re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text.strip(), re.ASCII):
        return now - timedelta(**{_UNITS[ago[2]]: float(ago[1])})
    return utc(text.strip())
