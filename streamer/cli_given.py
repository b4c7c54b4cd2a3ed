"""What the commands are given on the command line, read."""

import json
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO, cast

import typer

from engines.errors import CredenceError

if TYPE_CHECKING:
    from streamer.broker import Broker
    from streamer.config import Config, Mqtt
    from streamer.narrator import Narrator
    from streamer.sinks.mqtt import MqttSink
    from streamer.sinks.outbox import Outbox
    from streamer.sinks.spool import Spool
    from streamer.sinks.store import Store

ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", help="Settings in YAML; defaults without.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change one setting, as in vad.hangover_s=0.8; may be repeated.",
    ),
]

SourceArgument = Annotated[
    str,
    typer.Argument(
        metavar="CONFIG|CAMERA",
        help="Settings in YAML; or one camera: rtsp://user:password@host/path, http://…, webcam:0.",
    ),
]


class Speed(StrEnum):
    """How fast a recording is replayed."""

    REALTIME = "1"
    MAX = "max"


class NowhereError(CredenceError):
    """Events would go nowhere."""

    def __init__(self) -> None:
        super().__init__(
            "events have nowhere to go; configure mqtt or store.path, or give --output FILE"
            " (- is stdout)"
        )


def somewhere(loaded: "Config", output: Path | None) -> None:
    """Raise NowhereError where no event would be kept or published."""
    if loaded.mqtt is None and loaded.store.path == "none" and output is None:
        raise NowhereError


def cameras(source: str, settings: list[str] | None) -> "Config":
    """Read a configuration, or make one of a camera's address."""
    from streamer import config as configuration
    from streamer.addresses import camera_url, is_address

    if not is_address(source):
        return configuration.load(_yaml(Path(source)), settings or [])
    try:
        camera_url(source)
    except ValueError as error:  # which does not repeat it
        raise configuration.ConfigError([f"the camera's address {error}"]) from None
    camera = json.dumps({"name": "camera", "url": source})
    return configuration.load(None, [f"cameras=[{camera}]", *(settings or [])])


def _yaml(path: Path) -> Path:
    """Refuse at once what holds no settings."""
    from streamer.config import ConfigError

    try:
        with path.open("rb") as file:
            if b"\0" not in file.read(1024):
                return path
        problem = (
            "this is no YAML; if it is a recording, use `credence replay`, or put it under cameras:"
            " as a url"
        )
    except FileNotFoundError:
        problem = (
            "there is no such file; name settings in YAML, or a camera by its address, such as"
            " rtsp://HOST/PATH or webcam:0"
        )
    except (OSError, ValueError):  # said where it is read
        return path
    raise ConfigError([f"{path}: {problem}"])


def time(text: str | None) -> datetime | None:
    """Read --start."""
    if text is None:
        return None
    from streamer.times import utc

    try:
        return utc(text)
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{text!r} is no time; write it as in 2026-11-21T09:00:00Z", param_hint="--start"
        ) from None


def level(name: str) -> str:
    """Read the name of a node or a camera; + is any."""
    from streamer.addresses import topic_level

    try:
        return name if name == "+" else topic_level(name)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def levels(prefix: str | None) -> str | None:
    """Read --prefix."""
    from streamer.addresses import topic_prefix

    try:
        return prefix if prefix is None else topic_prefix(prefix)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def target(output: Path, files: list[Path]) -> TextIO | Path:
    """Read --output of what is written anew; refuse one of the recordings."""
    if str(output) == "-":
        return sys.stdout
    if output.exists() and any(file.exists() and output.samefile(file) for file in files):
        raise typer.BadParameter(f"{output} is one of the recordings", param_hint="--output")
    if output.is_file() or not output.exists():  # a pipe's reader would take this for all
        new = not output.exists()
        _appending(output).close()
        if new:
            output.unlink()
    return output


@contextmanager
def opened(output: Path | None) -> Iterator[TextIO | None]:
    """Open --output of what is appended to."""
    if output is None or str(output) == "-":
        yield sys.stdout if output else None
        return
    file = _appending(output)
    try:
        yield file
    finally:
        with suppress(OSError):  # each event was flushed: what could not be written was said
            file.close()


def _appending(output: Path) -> TextIO:
    try:
        return cast(TextIO, output.open("a", encoding="utf-8"))
    except OSError as error:
        problem = (error.strerror or "unknown").lower()
        raise typer.BadParameter(
            f"cannot write {output}: {problem}", param_hint="--output"
        ) from None


def spool(loaded: "Config") -> "AbstractContextManager[Spool | None]":
    """Open where events wait for the broker; None where none is configured."""
    from streamer.sinks.spool import Spool
    from streamer.sinks.spool_store import Bounds

    kept = loaded.spool
    bounds = Bounds(kept.resend_s, kept.oldest_h * 3600, kept.largest_mb * 1_000_000)
    return Spool.open(kept.path(loaded.node), bounds) if loaded.mqtt else nullcontext()


def store(loaded: "Config") -> "AbstractContextManager[Store | None]":
    """Open where events are kept for later; None where that is not configured."""
    from streamer.sinks.store import Store
    from streamer.sinks.store_file import Keep

    path = loaded.store.file(loaded.node)
    if path is None:
        return nullcontext()
    keep = Keep(loaded.store.keep_days * 86_400, loaded.store.largest_mb * 1_000_000)
    return Store.open(path, keep)


def broker(mqtt: "Mqtt") -> "Broker":
    """Return the broker that is configured; refuse certificates that cannot be used."""
    from streamer.broker import Broker
    from streamer.tls import Tls

    password = mqtt.password.get_secret_value() if mqtt.password else None
    tls = Tls(mqtt.ca_file, mqtt.client_cert, mqtt.client_key) if mqtt.tls else None
    if tls:
        tls.context()
    return Broker(mqtt.host, mqtt.port, tls, mqtt.username, password, mqtt.topic_prefix)


def at(url: str, configured: "Mqtt | None", prefix: str | None = None) -> "Mqtt":
    """Return the broker of --mqtt, with the topic prefix and the certificates configured."""
    from streamer.config import Mqtt

    if configured is None:
        return Mqtt.parse(url, prefix or "credence")
    also = configured.certificates if url.lower().startswith("mqtts://") else {}
    return Mqtt.parse(url, prefix or configured.topic_prefix, **also)


def watched(
    url: str | None, prefix: str | None, config: Path | None, settings: list[str] | None
) -> "Broker":
    """Return the broker to watch: --mqtt and --prefix win over the configuration."""
    from streamer import config as configuration

    found = configuration.load(config, settings or []).mqtt
    if url is not None or found is None:
        found = at(url or "mqtt://localhost:1883", found, prefix)
    return replace(broker(found), prefix=prefix or found.topic_prefix)


def narrator(config: "Config", *, waits: bool) -> "Narrator | None":
    """Return what explains events once more, if that is configured."""
    if (settings := config.language_model) is None:
        return None
    from streamer.language_model import LanguageModel
    from streamer.narrator import Narrator

    return Narrator(LanguageModel(settings), settings.waiting, waits)


def sink(config: "Config", outbox: "Outbox | None") -> "MqttSink | None":
    """Return where a node publishes, if that is configured."""
    from streamer.sinks.home_assistant import HomeAssistant
    from streamer.sinks.mqtt import MqttSink

    if config.mqtt is None:
        return None
    to, discovery = broker(config.mqtt), config.mqtt.home_assistant
    if discovery == "none":
        return MqttSink(to, config.node, outbox)
    home = HomeAssistant(to, config.node, discovery, switches=config.mqtt.switches)
    return MqttSink(to, config.node, outbox, home=home)
