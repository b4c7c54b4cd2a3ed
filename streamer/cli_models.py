"""The commands `credence models …`."""

from typing import Annotated

import typer

app = typer.Typer(
    help="Look after models that do not ship with Credence: Whisper, and YuNet for faces.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _known(typed: str) -> list[str]:
    from streamer import models

    return [name for name in models.MODELS if name.startswith(typed)]


Name = Annotated[str, typer.Argument(help="As `list` shows it.", autocompletion=_known)]


@app.command("list")
def list_() -> None:
    """Show which models there are, and where those lie that have been fetched."""
    from rich.console import Console
    from rich.table import Table

    from streamer import models

    fetched = [model for model in models.MODELS.values() if models.is_cached(model)]
    rows = Table("name", "what it does", "licence", "")
    for model in models.MODELS.values():
        rows.add_row(
            model.name, model.what, model.licence, "fetched" if model in fetched else "not fetched"
        )
    Console().print(rows)
    for model in fetched:
        print(f"{model.name}: {model.place}")  # below the table, which would fold it


@app.command()
def fetch(name: Name) -> None:
    """Download a model into the cache."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from streamer import models

    model = models.named(name)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bars:
        tasks = {file.path: bars.add_task(file.path, total=None) for file in model.files}

        def show(path: str, done: int, total: int | None) -> None:
            bars.update(tasks[path], completed=done, total=total)

        place = models.fetch(model, show)
    print(f"{model.name}: {place}")


@app.command()
def verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Models; all that are fetched by default."),
    ] = None,
) -> None:
    """Check that fetched models are whole; exit code 1 if one is not."""
    from streamer import models

    chosen = [models.named(name) for name in names or []]
    chosen = chosen or [model for model in models.MODELS.values() if models.is_cached(model)]
    if not chosen:
        print("no model is fetched")
    good = True
    for model in chosen:
        for path, condition in models.verify(model).items():
            whole = condition in ("whole", "not recorded")
            remedy = "" if whole else f"; get it with: credence models fetch {model.name}"
            print(f"{path}: {condition}{remedy}")
            good = good and whole
    if not good:
        raise typer.Exit(1)
