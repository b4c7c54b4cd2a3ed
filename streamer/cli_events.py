"""The commands `credence events …`."""

import sys
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, cast

import typer

from engines.errors import CredenceError
from engines.labels import EMOTIONS
from streamer import cli_given as given
from streamer.cli_given import ConfigOption, SetOption

if TYPE_CHECKING:
    from engines.labels import Emotion
    from streamer.event import Phase
    from streamer.stored import Wanted

app = typer.Typer(
    help="Look at the events that were kept on this machine (store.path in the settings).",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Which(StrEnum):
    """Which of a window's events."""

    FINAL = "final"
    UPDATE = "update"
    ANY = "any"


class Format(StrEnum):
    """What is written."""

    JSONL = "jsonl"
    CSV = "csv"


class NoStoreError(CredenceError):
    """Nothing says where events are stored."""

    def __init__(self) -> None:
        super().__init__(
            "no store is configured; name your settings with --config, or the file with"
            " --set store.path=FILE (auto is the one in the folder of your state)"
        )


def _emotion(name: str | None) -> str | None:
    if name is not None and name not in EMOTIONS:
        raise typer.BadParameter(f"{name!r} is none; known are {', '.join(EMOTIONS)}")
    return name


CameraOption = Annotated[
    str,
    typer.Option(metavar="NAME", help="Only this camera's; + is any.", callback=given.level),
]
SinceOption = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="Only windows that ended then or later: 2h or 1d ago, or 2026-11-21T09:00:00Z;"
        " UTC where no zone is named.",
    ),
]
UntilOption = Annotated[
    str | None, typer.Option(metavar="TIME", help="Only windows that ended before; as --since.")
]
EmotionOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help=f"Only this: {', '.join(EMOTIONS)}.", callback=_emotion),
]
TrustedOption = Annotated[bool, typer.Option("--trusted", help="Only trusted verdicts.")]
PhaseOption = Annotated[Which, typer.Option(help="Updates come early, and finals replace them.")]


@app.callback()
def _events() -> None:
    pass


@app.command()
def query(
    config: ConfigOption = None,
    settings: SetOption = None,
    camera: CameraOption = "+",
    since: SinceOption = None,
    until: UntilOption = None,
    emotion: EmotionOption = None,
    trusted: TrustedOption = False,
    phase: PhaseOption = Which.FINAL,
    limit: Annotated[
        int, typer.Option(metavar="N", min=1, max=10_000, help="Only the latest so many.")
    ] = 50,
) -> None:
    """Show what was stored: a table on a terminal, else a line per event."""
    from rich.console import Console

    from streamer.history import show
    from streamer.stored import stored

    wanted = _wanted(camera, since, until, emotion, trusted, phase, limit)
    with stored(_file(config, settings)) as events:
        shown = show(events.events(wanted), Console(highlight=False))
        total = events.count(wanted)
    if total > shown:
        print(f"the latest {shown} of {total}; --limit shows more", file=sys.stderr)
    elif not total:
        print("no stored event is like that", file=sys.stderr)


@app.command()
def export(
    config: ConfigOption = None,
    settings: SetOption = None,
    camera: CameraOption = "+",
    since: SinceOption = None,
    until: UntilOption = None,
    emotion: EmotionOption = None,
    trusted: TrustedOption = False,
    phase: PhaseOption = Which.FINAL,
    limit: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Only the latest so many.")
    ] = None,
    form: Annotated[
        Format,
        typer.Option("--format", help="jsonl has events as they were published, csv a row each."),
    ] = Format.JSONL,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Written anew; - is stdout.")
    ] = Path("-"),
) -> None:
    """Write what was stored, by time and then by a camera's sequence."""
    from streamer.history import comma_separated, json_lines, writing
    from streamer.stored import stored

    wanted, file = (
        _wanted(camera, since, until, emotion, trusted, phase, limit),
        _file(config, settings),
    )
    if output.exists() and file.exists() and output.samefile(file):
        raise typer.BadParameter(f"{output} is the store", param_hint="--output")
    write = json_lines if form is Format.JSONL else comma_separated
    with stored(file) as events, writing(output) as out:
        write(events.events(wanted), out)


_UNUSED: Final = ("cameras=[]", "mqtt=", "language_model=")


def _file(config: Path | None, settings: list[str] | None) -> Path:
    from streamer import config as configuration

    # What else is configured may take passwords from an environment that is the service's.
    loaded = configuration.load(config, [*(settings or []), *_UNUSED])
    if (path := loaded.store.file(loaded.node)) is None:
        raise NoStoreError
    return path


def _wanted(
    camera: str,
    since: str | None,
    until: str | None,
    emotion: str | None,
    trusted: bool,
    phase: Which,
    limit: int | None,
) -> "Wanted":
    from streamer.stored import Wanted

    begin, end = _moment(since, "--since"), _moment(until, "--until")
    if begin and end and begin >= end:
        problem = f"{since!r} is not before --until {until!r}"
        raise typer.BadParameter(problem, param_hint="--since")
    return Wanted(
        camera=None if camera == "+" else camera,
        since=begin,
        until=end,
        emotion=cast("Emotion | None", emotion),
        trusted=trusted,
        phase=cast("Phase | None", None if phase is Which.ANY else phase.value),
        latest=limit,
    )


def _moment(text: str | None, option: str) -> datetime | None:
    from streamer.times import moment

    try:
        return None if text is None else moment(text, datetime.now(UTC))
    except (ValueError, OverflowError):
        problem = (
            f"{text!r} is no time; write how long ago, as in 90m, 2h or 1d, or a time, as in"
            " 2026-11-21T09:00:00Z"
        )
        raise typer.BadParameter(problem, param_hint=option) from None
