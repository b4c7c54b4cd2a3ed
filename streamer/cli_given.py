"""What the commands are given on the command line, read."""

import json
import sys
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, cast

import typer

if TYPE_CHECKING:
    from streamer.broker import Broker
    from streamer.config import Config, Mqtt


def cameras(source: str, settings: list[str] | None) -> "Config":
    """Read a configuration, or make one of a camera's address."""
    from streamer import config as configuration
    from streamer.addresses import CAMERA_PREFIXES

    if "://" not in source and not source.startswith(CAMERA_PREFIXES):
        return configuration.load(Path(source), settings or [])
    camera = json.dumps({"name": "camera", "url": source})
    return configuration.load(None, [f"cameras=[{camera}]", *(settings or [])])


def time(text: str | None) -> datetime | None:
    """Read --start."""
    if text is None:
        return None
    from streamer.source import utc

    try:
        return utc(text)
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{text!r} is no time; write it as in 2026-11-21T09:00:00Z", param_hint="--start"
        ) from None


def target(output: Path, files: list[Path]) -> TextIO | Path:
    """Read --output of what is written anew; refuse one of the recordings."""
    if str(output) == "-":
        return sys.stdout
    if output.exists() and any(file.exists() and output.samefile(file) for file in files):
        raise typer.BadParameter(f"{output} is one of the recordings", param_hint="--output")
    if output.is_dir() or not output.absolute().parent.is_dir():
        raise typer.BadParameter(f"cannot write {output}: no such folder", param_hint="--output")
    return output


def opened(output: Path | None) -> AbstractContextManager[TextIO | None]:
    """Open --output of what is appended to."""
    if output is None or str(output) == "-":
        return nullcontext(sys.stdout if output else None)
    try:
        return cast(TextIO, output.open("a", encoding="utf-8"))
    except OSError as error:
        raise typer.BadParameter(
            f"cannot write {output}: {error.strerror}", param_hint="--output"
        ) from None


def broker(mqtt: "Mqtt") -> "Broker":
    """Return the broker that is configured."""
    from streamer.broker import Broker

    password = mqtt.password.get_secret_value() if mqtt.password else None
    return Broker(mqtt.host, mqtt.port, mqtt.tls, mqtt.username, password, mqtt.topic_prefix)
