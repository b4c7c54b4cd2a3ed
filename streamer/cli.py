"""The command `credence`."""

import gc
import logging
import os
import sys
import traceback
from collections.abc import Coroutine, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from engines.command import run as run_command
from engines.command import say
from engines.errors import CredenceError
from streamer import cli_given as given
from streamer.cli_engines import app as engines_app
from streamer.cli_events import app as events_app
from streamer.cli_given import ConfigOption, SetOption, SourceArgument
from streamer.cli_models import app as models_app
from streamer.cli_node import reload
from streamer.logs import log_to_stderr
from streamer.threads import leave, run_to_end

T = TypeVar("T")

app = typer.Typer(
    help="Turn cameras and recordings into trusted emotion events.",
    epilog="See what it does: credence demo. Judge a recording: credence replay FILE.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(models_app, name="models")
app.add_typer(engines_app, name="engines")
app.add_typer(events_app, name="events")
app.command()(reload)


def main() -> None:
    """Run the command; what a user can mend is one sentence on standard error and exit code 2."""
    log_to_stderr()
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - as long as the process
    try:
        code = run_command(app, "credence")
    except SystemExit as ended:  # nobody reads its output any more
        code = ended.code if isinstance(ended.code, int) else 0
    except Exception:
        traceback.print_exc()
        code = 1
    leave(code)


@app.callback()
def _credence() -> None:
    pass


@app.command()
def replay(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Recordings.")],
    config: ConfigOption = None,
    settings: SetOption = None,
    speed: Annotated[
        given.Speed, typer.Option(help="1 takes as long as the recording, max as long as it must.")
    ] = given.Speed.MAX,
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
    from streamer.progress import bars
    from streamer.sinks.jsonl import JsonLines
    from streamer.sinks.mqtt import MqttSink
    from streamer.source import unreadable

    loaded, began = configuration.load(config, settings or []), given.time(start)
    sink = None
    if mqtt is not None:
        sink = MqttSink(given.broker(given.at(mqtt, loaded.mqtt)), loaded.node)
    target = given.target(output, files)
    if len(failed := unreadable(files)) == len(files):
        _refuse(failed)
    from streamer.replay import open_replay  # slow, so only for what can be replayed

    player = open_replay(loaded, realtime=speed is given.Speed.REALTIME, began=began)
    shown = target is sys.stdout and target.isatty()
    with (
        given.store(loaded) as store,
        closing(player.judging),
        closing(JsonLines(target)) as lines,
        bars(files, events_shown=shown) as advance,
    ):
        narrator = given.narrator(loaded, waits=True)
        failed = _run(player.run(files, lines, sink, advance, store, narrator))
    _refuse(failed)


@app.command()
def run(
    source: SourceArgument,
    settings: SetOption = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Also append events there; - is stdout."
        ),
    ] = None,
) -> None:
    """Judge cameras until stopped: events to MQTT where configured, as JSON Lines with --output."""
    import signal

    from streamer.control import claimed
    from streamer.endpoint import opened
    from streamer.node import NoCamerasError, open_node, run_until_signalled
    from streamer.report import describe
    from streamer.sinks.jsonl import JsonLines

    loaded = given.cameras(source, settings)
    if not loaded.cameras:
        raise NoCamerasError
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the node runs, there is nothing to reload
    given.somewhere(loaded, output)
    with given.opened(output) as file, given.spool(loaded) as spool:
        sink = given.sink(loaded, spool)
        node = open_node(loaded)
        node.read = partial(given.cameras, source, settings)
        node.narrator = given.narrator(loaded, waits=False)
        describe(node.judging, sink.broker.address if sink else None)
        with (
            given.store(loaded) as node.store,
            claimed(loaded.node) as node.control,
            opened(loaded.metrics) as node.listener,
        ):
            _run(run_until_signalled(node, JsonLines(file) if file else None, sink))
    if node.failed:
        raise typer.Exit(2)


@app.command()
def watch(
    mqtt: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="The broker: mqtt://user:password@host:1883; mqtt://localhost unless given.",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", "-c", help="Settings in YAML: their mqtt: has the broker and certificates."
        ),
    ] = None,
    settings: SetOption = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Begin with what came since a watch of this name ended, up to a week ago.",
        ),
    ] = None,
    node: Annotated[
        str,
        typer.Option(metavar="NAME", help="Only this machine's; + is any.", callback=given.level),
    ] = "+",
    camera: Annotated[
        str,
        typer.Option(metavar="NAME", help="Only this camera's; + is any.", callback=given.level),
    ] = "+",
    prefix: Annotated[
        str | None,
        typer.Option(
            metavar="LEVELS",
            help="mqtt.topic_prefix, where it is configured.",
            callback=given.levels,
        ),
    ] = None,
    lines: Annotated[
        bool, typer.Option("--lines", help="A line per event on a terminal, too.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="A line of JSON per event, as it came.")
    ] = False,
) -> None:
    """Show what cameras publish: a live table on a terminal, else a line per event."""
    from rich.console import Console

    from streamer.lines import Lines, Payloads
    from streamer.table import CameraTable
    from streamer.watch import watch

    broker = given.watched(mqtt, prefix, config, settings)
    if as_json or lines or not sys.stdout.isatty():
        kind = Payloads if as_json else Lines
        _run(watch(broker, kind(sys.stdout, sys.stderr), node=node, camera=camera, since=since))
    else:
        with CameraTable(Console()) as table:
            _run(watch(broker, table, node=node, camera=camera, since=since))


@app.command()
def check(
    source: SourceArgument,
    settings: SetOption = None,
) -> None:
    """Try settings, engines and all that is configured; say in a line each what is wrong."""
    from streamer.ensemble import open_ensemble, warn_of_lacking
    from streamer.faces import open_finder
    from streamer.live import device as decoding_device
    from streamer.node import NoCamerasError
    from streamer.probe import probe_all, probe_spool, probe_store
    from streamer.transcribe import open_transcriber

    loaded = given.cameras(source, settings)
    open_finder(loaded.faces)
    multilabel = loaded.recognition.multilabel
    warn_of_lacking(open_ensemble(loaded.engines, multilabel=multilabel))
    decoding_device(loaded.video.decoder)  # which warns
    open_transcriber(loaded, live=False)
    if not loaded.cameras:
        raise NoCamerasError
    broker = given.broker(loaded.mqtt) if loaded.mqtt else None
    print("settings, engines and face finder are good")
    narrator = given.narrator(loaded, waits=False)
    findings = _run(probe_all(loaded.cameras, broker, narrator.model if narrator else None))
    if loaded.mqtt:
        findings.append(probe_spool(loaded.spool.path(loaded.node).parent))
    if store := loaded.store.file(loaded.node):
        findings.append(probe_store(store))
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
    gc.freeze()  # what is loaded by now stays; looking through it again and again costs
    try:
        return run_to_end(work)
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


def _refuse(failed: Sequence[CredenceError]) -> None:
    for error in failed:
        say("credence", str(error))
    if failed:
        raise typer.Exit(2)


if __name__ == "__main__":
    main()
