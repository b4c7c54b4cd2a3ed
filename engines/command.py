"""Running a command: what a user can mend is one sentence on standard error and exit code 2."""

import sys

import typer

from engines.errors import CredenceError


def run(app: typer.Typer, name: str) -> int:
    """Run the command line that this process was given, and return its exit code.

    The command's ``name`` stands before each sentence.
    """
    code: int | None = 2
    try:
        code = app(standalone_mode=False)
    except typer.TyperException as error:
        say(name, error.format_message().replace("Value error, ", ""))
    except CredenceError as error:
        say(name, str(error))
    return code or 0


def say(name: str, problems: str) -> None:
    """Print what is wrong, a line for each problem."""
    for sentence in problems.splitlines():
        print(f"{name}: {sentence}", file=sys.stderr)
