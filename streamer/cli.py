"""The command `credence`."""

import asyncio
import logging
import sys
from contextlib import nullcontext
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import structlog
import typer

from engines.errors import CredenceError

app = typer.Typer(
    help="Turn cameras and recordings into trusted emotion events.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Speed(StrEnum):
    """How fast a recording is replayed."""

    REALTIME = "1"
    MAX = "max"


ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", help="Settings in YAML; defaults without.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one setting; may be repeated."),
]


def main() -> None:
    """Run the command; what a user can mend is one sentence on standard error and exit code 2."""
    _log_to_stderr()
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
            help="When the recording began, as in 2026-11-21T09:00:00Z; else read from the file.",
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
    from streamer.replay import Replay, replay
    from streamer.sinks.jsonl import JsonLines

    loaded = configuration.load(config, settings or [])
    how = Replay(loaded, speed is Speed.REALTIME, _time(start))
    to_stdout = str(output) == "-"
    with nullcontext(sys.stdout) if to_stdout else _writable(output) as file:
        failed = _run(replay(files, how, JsonLines(file), _mqtt_sink(mqtt, loaded)))
    for error in failed:
        _say(error)
    if failed:
        raise typer.Exit(2)
