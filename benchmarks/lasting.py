"""A node of one camera that is never made to wait, and drops nothing: `credence run` for soaks.

    python -m benchmarks.lasting CAMERA [--set KEY=VALUE …]

What `credence run` does, but events go nowhere, a lost camera is tried again at once, and a camera
that sends faster than it is judged is made to wait instead of being dropped from.
"""

import asyncio
import sys
from itertools import repeat
from typing import Any, TypeVar

from streamer import cli_given, running
from streamer.handover import Handover
from streamer.logs import log_to_stderr
from streamer.node import open_node, run_until_signalled

T = TypeVar("T")

_AGAIN_S = 0.05


class _Patient(Handover[T]):
    """Makes the source wait."""

    def __init__(self, *given: Any, **settings: Any) -> None:
        settings.pop("droppable", None)
        super().__init__(*given, **settings)


class _Nowhere:
    """Takes events, and says how many at the end."""

    count = 0

    def put(self, event: object) -> None:
        """Forget one."""
        self.count += 1


def main(camera: str, *settings: str) -> None:
    """Run until told to stop."""
    log_to_stderr()
    vars(running)["Handover"] = _Patient
    config = cli_given.cameras(camera, [each for each in settings if each != "--set"])
    node, events = open_node(config), _Nowhere()
    node.waiting = running.Waiting(lambda: repeat(_AGAIN_S))
    asyncio.run(run_until_signalled(node, events, None))
    print(events.count, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
