"""The commands `credence engines …`."""

from pathlib import Path
from typing import Annotated

import typer

from streamer.cli_node import NodeOption, tell

app = typer.Typer(
    help="Look after the engines of a node that runs on this machine.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _engines() -> None:
    pass


def _bundle(given: str | None) -> str | None:
    """Say where a bundle lies, as the node has another working directory."""
    if given is None or given in ("shipped", "none"):
        return given
    if not given or not Path(given).is_dir():
        raise typer.BadParameter(
            f"{given or repr(given)}: there is no such folder; name one, shipped or none"
        )
    return str(Path(given).absolute())


def _choice(what: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(
        metavar="FOLDER", help=f"{what}: a bundle's folder, shipped or none.", callback=_bundle
    )
    return option


@app.command()
def swap(
    face: Annotated[str | None, _choice("What judges faces")] = None,
    voice: Annotated[str | None, _choice("What judges voices")] = None,
    text: Annotated[str | None, _choice("What judges words")] = None,
    policy: Annotated[str | None, _choice("What decides on trust")] = None,
    multilabel: Annotated[str | None, _choice("What tells several emotions")] = None,
    node: NodeOption = None,
) -> None:
    """Let other engines judge from the next window on; the old ones come back if they fail.

    What is not given stays as it is. After a restart the node has what is configured again.
    """
    wanted = {
        "face": face,
        "voice": voice,
        "text": text,
        "policy": policy,
        "multilabel": multilabel,
    }
    tell({"swap": wanted}, node)
