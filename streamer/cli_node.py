"""Commands to a node that runs on this machine."""

import json
from typing import Annotated

import typer

NodeOption = Annotated[
    str | None, typer.Option("--node", metavar="NAME", help="Which, where several nodes run.")
]


def tell(command: dict[str, object], node: str | None) -> None:
    """Give a node a command and print its answer; exit with 2 where it did not obey."""
    from engines.command import say
    from streamer.control import ask

    answer = json.loads(ask(json.dumps(command).encode(), node))
    if answer["outcome"] in ("refused", "taken back"):
        say("credence", answer["sentence"])
        raise typer.Exit(2)
    print(answer["sentence"])


def reload(node: NodeOption = None) -> None:
    """Have a running node read its settings again: cameras come, change and go, others go on.

    Settings that cannot be used change nothing. What else has changed counts from the next start
    on, and is named.
    """
    tell({"reload": True}, node)
