"""Running a command of this package, which may lack an extra of the installation."""

from collections.abc import Set

import typer

from engines import command


def run(app: typer.Typer, name: str, extra: str, packages: Set[str]) -> int:
    """Run the command line that this process was given, and return its exit code.

    What a user can mend is one sentence on standard error and exit code 2, as is that one of
    ``packages``, which ``extra`` installs, is missing.
    """
    try:
        return command.run(app, name)
    except ModuleNotFoundError as error:
        if error.name not in packages:
            raise
        install = f"pip install -c constraints.txt -e '.[{extra}]'"
        command.say(name, f"this needs {error.name}; in a clone, {install}")
        return 2
