"""A fast runtime with the portable one behind it: a GPU may go away, a window may not."""

import threading
from collections.abc import Callable

from engines.runtime import Batch, Outputs, Runtime, sound


class Guarded:
    """Runs on ``fast`` until that fails once; from then on, that batch included, on ``portable``.

    ``lost`` is told of it in one sentence, once, on the thread that noticed.
    """

    def __init__(self, fast: Runtime, portable: Runtime, lost: Callable[[str], None]) -> None:
        self._portable, self._lost = portable, lost
        self._now = fast
        self._telling = threading.Lock()

    @property
    def name(self) -> str:
        """What runs it now."""
        return self._now.name

    @property
    def batches(self) -> bool:
        """Whether batches pay on what runs it now."""
        return self._now.batches

    def __call__(self, batch: Batch) -> Outputs:
        """Return what the network gives; what the portable runtime raises is raised."""
        now = self._now
        if now is not self._portable:
            try:
                outputs = now(batch)
                if sound(outputs):
                    return outputs
                self._give_up(now, "it gives nonsense")
            except Exception as error:  # drivers and libraries raise families without a common root
                self._give_up(now, first_line(error))
        return self._portable(batch)

    def _give_up(self, failed: Runtime, why: str) -> None:
        with self._telling:
            if self._now is self._portable:
                return
            self._now = self._portable
        self._lost(f"{failed.name} is lost ({why}); {self._portable.name} goes on, start again")


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says, or its type where it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
