"""`credence demo`: the pipeline on a clip that it makes itself, shown as lines."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from rich.console import Console

from streamer.clip import make_clip
from streamer.config import Config
from streamer.event import EmotionEvent
from streamer.replay import open_replay
from streamer.watch import event_line

NEXT_STEPS = """
Each line is one event. None is trusted yet: the shipped policy has no certified threshold.
The same events as JSON, from a recording of yours, and to a broker:
  credence replay FILE
  credence replay FILE --mqtt mqtt://localhost:1883     (and see them with: credence watch)"""


@dataclass(frozen=True, slots=True)
class Clip:
    """The recording that is shown."""

    path: Path
    spoken: bool
    """Whether there is speech in it."""


class Lines:
    """Shows each event as a line for people."""

    def __init__(self, out: TextIO) -> None:
        self._console = Console(file=out, highlight=False, soft_wrap=True)

    def put(self, event: EmotionEvent) -> None:
        """Show one event."""
        ascii_only = not self._console.encoding.lower().startswith("utf")
        self._console.print(event_line(event.data.camera, event, ascii_only=ascii_only))


@contextmanager
def example() -> Iterator[Clip]:
    """Make the clip in a folder that goes afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "astronaut.mp4"
        yield Clip(path, spoken=make_clip(path))


async def demo(config: Config, clip: Clip, out: TextIO) -> None:
    """Replay the clip at its own pace, and say what to do next."""
    player = open_replay(config, realtime=True, began=datetime.now(UTC))
    print("A portrait of Eileen Collins (NASA), speaking with espeak-ng's voice:", file=out)
    if not clip.spoken:
        print("(espeak-ng is not installed, so the portrait is silent)", file=out)
    await player.run([clip.path], Lines(out))
    print(NEXT_STEPS, file=out)
