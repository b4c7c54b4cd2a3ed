"""The command `credence`."""

import asyncio
import logging
import os
import sys
from collections.abc import Coroutine
from contextlib import AbstractContextManager, closing, nullcontext
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO, TypeVar, cast

import typer

from engines.errors import CredenceError
from streamer.cli_models import app as models_app
from streamer.logs import log_to_stderr

if TYPE_CHECKING:
    from streamer.broker import Broker
    from streamer.config import Mqtt

T = TypeVar("T")

app = typer.Typer(
    help="Turn cameras and recordings into trusted emotion events.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(models_app, name="models")


class Speed(StrEnum):
    """How fast a recording is replayed."""

    REALTIME = "1"
    MAX = "max"


class NowhereError(CredenceError):
    """Events would go nowhere."""

    def __init__(self) -> None:
        super().__init__(
            "events have nowhere to go; configure mqtt, or give --output FILE (- is stdout)"
        )


ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", help="Settings in YAML; defaults without.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one setting; may be repeated."),
]


def _level(name: str) -> str:
    from streamer.addresses import topic_level

    try:
        return name if name == "+" else topic_level(name)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def main() -> None:
    """Run the command; what a user can mend is one sentence on standard error and exit code 2."""
    log_to_stderr()
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - as long as the process
    try:
        app()
    except CredenceError as error:
        _say(error)
        sys.exit(2)


@app.callback()
def _credence() -> None:
    pass


@app.command()
def replay(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Recordings.")],
    config: ConfigOption = None,
    settings: SetOption = None,
    speed: Annotated[
        Speed, typer.Option(help="1 takes as long as the recording, max as long as it must.")
    ] = Speed.MAX,
    start: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="When the recording began, as in 2026-11-21T09:00:00Z; UTC where no zone is named."
            " Without it, what the file says.",
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Where events go; - is stdout.")
    ] = Path("-"),
    mqtt: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Also publish as a camera would: mqtt://host:1883"),
    ] = None,
) -> None:
    """Judge recordings: one event per line as JSON, in window order."""
    from streamer import config as configuration
    from streamer.replay import open_replay
    from streamer.sinks.jsonl import JsonLines
    from streamer.sinks.mqtt import MqttSink

    loaded = configuration.load(config, settings or [])
    player = open_replay(loaded, realtime=speed is Speed.REALTIME, began=_time(start))
    sink = None
    if mqtt is not None:
        prefix = loaded.mqtt.topic_prefix if loaded.mqtt else "credence"
        broker = _broker(configuration.Mqtt.parse(mqtt, prefix))
        sink = MqttSink(broker, loaded.node)
    with closing(JsonLines(_target(output, files))) as lines:
        failed = _run(player.run(files, lines, sink))
    for error in failed:
        _say(error)
    if failed:
        raise typer.Exit(2)


@app.command()
def run(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="Settings in YAML.")],
    settings: SetOption = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Also append events there; - is stdout."
        ),
    ] = None,
) -> None:
    """Judge cameras until stopped: events to MQTT where configured, as JSON Lines with --output."""
    from streamer import config as configuration
    from streamer.node import open_node, run_until_signalled
    from streamer.sinks.jsonl import JsonLines
    from streamer.sinks.mqtt import MqttSink

    loaded = configuration.load(config, settings or [])
    if loaded.mqtt is None and output is None:
        raise NowhereError
    node = open_node(loaded)
    broker = _broker(loaded.mqtt) if loaded.mqtt else None
    sink = MqttSink(broker, loaded.node) if broker else None
    node.describe(broker.address if broker else None)
    with _opened(output) as file:
        _run(run_until_signalled(node, JsonLines(file) if file else None, sink))
    if node.failed:
        raise typer.Exit(2)


@app.command()
def watch(
    mqtt: Annotated[
        str, typer.Option(metavar="URL", help="The broker: mqtt://user:password@host:1883.")
    ] = "mqtt://localhost:1883",
    node: Annotated[
        str, typer.Option(metavar="NAME", help="Only this machine's; + is any.", callback=_level)
    ] = "+",
    camera: Annotated[
        str, typer.Option(metavar="NAME", help="Only this camera's; + is any.", callback=_level)
    ] = "+",
    prefix: Annotated[
        str, typer.Option(metavar="LEVELS", help="mqtt.topic_prefix, where it is configured.")
    ] = "credence",
    lines: Annotated[
        bool, typer.Option("--lines", help="A line per event on a terminal, too.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="A line of JSON per event, as it came.")
    ] = False,
) -> None:
    """Show what cameras publish: a live table on a terminal, else a line per event."""
    from rich.console import Console

    from streamer.config import Mqtt
    from streamer.lines import Lines, Payloads
    from streamer.table import CameraTable
    from streamer.watch import watch

    broker, names = _broker(Mqtt.parse(mqtt, prefix)), {"node": node, "camera": camera}
    if as_json or lines or not sys.stdout.isatty():
        kind = Payloads if as_json else Lines
        _run(watch(broker, kind(sys.stdout, sys.stderr), **names))
    else:
        with CameraTable(Console()) as table:
            _run(watch(broker, table, **names))


@app.command()
def check(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="Settings in YAML.")],
    settings: SetOption = None,
) -> None:
    """Check settings, engines and detector, and try every camera and the broker."""
    from streamer import config as configuration
    from streamer.faces import open_finder
    from streamer.probe import probe_all
    from streamer.recognise import open_ensemble
    from streamer.transcribe import open_transcriber

    loaded = configuration.load(config, settings or [])
    open_finder(loaded.faces)
    open_ensemble(loaded.engines)
    open_transcriber(loaded, live=False)
    broker = _broker(loaded.mqtt) if loaded.mqtt else None
    print(f"{config}: settings, engines and face finder are good")
    findings = _run(probe_all(loaded.cameras, broker))
    for found in findings:
        print(found.sentence)
    if not all(found.good for found in findings):
        raise typer.Exit(2)


@app.command()
def demo(config: ConfigOption = None, settings: SetOption = None) -> None:
    """Show in half a minute what Credence does, on a clip that it makes itself."""
    from rich.console import Console

    from streamer import config as configuration
    from streamer.demo import show
    from streamer.demo.broker import find_mosquitto
    from streamer.demo.screen import DemoScreen
    from streamer.lines import Lines

    log_to_stderr(logging.WARNING)
    loaded, mosquitto = configuration.load(config, settings or []), find_mosquitto()
    if sys.stdout.isatty():
        with DemoScreen(Console(), show.TITLE) as screen:
            _run(show.show(loaded, screen, mosquitto, screen.play))
    else:
        _run(show.show(loaded, Lines(sys.stdout, sys.stderr), mosquitto, lambda _: None))
    print(show.NEXT_STEPS)


def _run(work: Coroutine[object, object, T]) -> T:
    import cv2

    cv2.setNumThreads(1)  # a pool per camera would cost more than it gains
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except ExceptionGroup as group:
        mendable, others = group.split((CredenceError, BrokenPipeError))
        if mendable is None or others is not None:
            raise
        raise _first(mendable) from group


def _first(group: ExceptionGroup[Exception]) -> Exception:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, ExceptionGroup) else error


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    from streamer.source import utc

    try:
        return utc(text)
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{text!r} is no time; write it as in 2026-11-21T09:00:00Z", param_hint="--start"
        ) from None


def _target(output: Path, files: list[Path]) -> TextIO | Path:
    if str(output) == "-":
        return sys.stdout
    if output.exists() and any(file.exists() and output.samefile(file) for file in files):
        raise typer.BadParameter(f"{output} is one of the recordings", param_hint="--output")
    if output.is_dir() or not output.absolute().parent.is_dir():
        raise typer.BadParameter(f"cannot write {output}: no such folder", param_hint="--output")
    return output


def _opened(output: Path | None) -> AbstractContextManager[TextIO | None]:
    if output is None or str(output) == "-":
        return nullcontext(sys.stdout if output else None)
    try:
        return cast(TextIO, output.open("a", encoding="utf-8"))
    except OSError as error:
        raise typer.BadParameter(
            f"cannot write {output}: {error.strerror}", param_hint="--output"
        ) from None


def _broker(mqtt: "Mqtt") -> "Broker":
    from streamer.broker import Broker

    password = mqtt.password.get_secret_value() if mqtt.password else None
    return Broker(mqtt.host, mqtt.port, mqtt.tls, mqtt.username, password, mqtt.topic_prefix)


def _say(error: CredenceError) -> None:
    for sentence in str(error).splitlines():
        print(f"credence: {sentence}", file=sys.stderr)


if __name__ == "__main__":
    main()
