"""Threads for native code that blocks, and the end of the process while they may be in it."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NoReturn

_GIVES_WAY: Final = 5
_LEAVE_S: Final = 1.0
"""How long the end of the process waits for threads: time for one picture or one window."""


class NativeThread(threading.Thread):
    """A daemon thread that calls native code. Who starts some ends the process with `leave`."""

    def __init__(self, target: Callable[[], None], name: str) -> None:
        super().__init__(target=target, name=name, daemon=True)


def give_way() -> None:
    """Let the other threads of this process go before the one that calls; Linux alone.

    It cannot be taken back: who may put threads off may not put them on.
    """
    if sys.platform == "linux":  # elsewhere this is not of the thread but of the process
        os.nice(_GIVES_WAY)


def leave(code: int) -> NoReturn:
    """End the process with this exit code, and never while a thread returns from native code.

    Python ends a daemon thread where that next takes the interpreter's lock. In a destructor of
    C++, as of OpenCV and ONNX Runtime, this aborts the whole process. So threads are waited for,
    and where one is still busy the process ends at once, without Python's own shutdown.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who presses Ctrl-C twice wants this end, too
    until_s = time.monotonic() + _LEAVE_S
    threads = [each for each in threading.enumerate() if isinstance(each, NativeThread)]
    for thread in threads:
        thread.join(max(0.0, until_s - time.monotonic()))
    if any(thread.is_alive() for thread in threads):
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
    sys.exit(code)
