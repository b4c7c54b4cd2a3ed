"""A picture on the terminal that is drawn again and again, with notices below it."""

from abc import ABC, abstractmethod
from collections import deque
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from streamer.logs import warnings_to
from streamer.looks import is_ascii, printable

_NOTICES = 5
_DRAWN_HZ = 8


class Screen(ABC):
    """Shown while it is entered, as a context manager; the last picture stays.

    A thread of its own draws it: a slow terminal holds nobody up.
    """

    def __init__(self, console: Console) -> None:
        self.ascii_only = is_ascii(console)
        self._console = console
        self._notices: deque[str] = deque(maxlen=_NOTICES)
        self._entered = ExitStack()

    @abstractmethod
    def picture(self) -> RenderableType:
        """Return what is to be seen now. Runs on another thread than what is shown comes from."""

    def note(self, text: str) -> None:
        """Show a notice below the picture; the oldest of many makes room."""
        if text not in self._notices:
            self._notices.append(printable(text))

    def render(self) -> RenderableType:
        """Return the picture with its notices."""
        return Group(self.picture(), *(Text(f"! {said}", "yellow") for said in list(self._notices)))

    def __enter__(self) -> Self:
        with ExitStack() as entering:
            entering.enter_context(warnings_to(self.note))
            live = Live(
                console=self._console, get_renderable=self.render, refresh_per_second=_DRAWN_HZ
            )
            entering.enter_context(live)
            self._entered = entering.pop_all()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._entered.close()
