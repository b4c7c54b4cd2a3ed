"""Plays damaged media by number, in a process of its own: `python -m tests.chaos.player`.

It prints `N about it` when it begins with one, and `N = what came of it` when it is done. One in
four is played as a live camera would be, half of those over RTSP.
"""

import asyncio
import sys
import threading
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from random import Random
from typing import Any

from pydantic import SecretStr
from structlog.testing import capture_logs

from engines.errors import CredenceError
from streamer.config import Camera, Config, Engines, Faces
from streamer.event import EmotionEvent
from streamer.explanation import ExplanationEvent
from streamer.node import open_node
from streamer.replay import Replay, open_replay
from streamer.running import Waiting
from tests.chaos.broken import broken_camera
from tests.chaos.mutations import mutate

CONFIG = Config(
    node="chaos",
    faces=Faces(model="haar"),
    engines=Engines(voice="none", text="none", policy="none"),
)
_LIVE_S = 0.6
_LONGEST = 400
"""Letters of a sentence."""

Log = Sequence[MutableMapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Case:
    """What is played."""

    file: Path
    about: str
    way: str
    random: Random


class Counter:
    """Takes events, as a sink does."""

    def __init__(self) -> None:
        self.count = 0

    def put(self, event: EmotionEvent | ExplanationEvent) -> None:
        """Count one."""
        type(event).model_validate_json(event.model_dump_json())
        self.count += 1


def case(folder: Path, seed: int, number: int) -> Case:
    """Make the damaged file of a number; the same again for the same seed."""
    random = Random(f"{seed}/{number}")
    way = {0: "rtsp", 4: "live"}.get(number % 8, "replay")
    bases = sorted((folder / ("cameras" if way == "rtsp" else "files")).iterdir())
    base = bases[number // (8 if way == "rtsp" else 1) % len(bases)]
    if way == "rtsp":
        return Case(base, f"{way} {base.name}", way, random)
    done, data = mutate(base.read_bytes(), random.choice(bases).read_bytes(), random)
    name = random.choice((base, base, base, random.choice(bases))).suffix
    file = folder / f"damaged-{number}{name}"
    file.write_bytes(data)
    return Case(file, f"{way} {base.name} {done} as {name}", way, random)


async def replayed(opened: Replay, file: Path) -> str:
    """Replay a file; return what came of it."""
    events = Counter()
    failed = await opened.run([file], events)
    return sentence(failed[0]) if failed else f"{events.count} events"


async def watched(url: str) -> str:
    """Run a camera for a moment; return what came of it."""
    config = CONFIG.model_copy(update={"cameras": (Camera(name="door", url=SecretStr(url)),)})
    node, events = await asyncio.to_thread(open_node, config), Counter()
    node.waiting = Waiting(lambda: repeat(0.05), timeout_s=1.0)
    asyncio.get_running_loop().call_later(_LIVE_S, node.stop)
    await node.run(events, None)
    return sentence(node.failed[0]) if node.failed else f"{events.count} events"


def sentence(error: CredenceError) -> str:
    """Return what an error says, or why that is no clear sentence."""
    said = str(error)
    clear = said.isprintable() and len(said) < _LONGEST and "Traceback" not in said
    return "sentence" if clear else f"BAD {said!r}"


async def played(opened: Replay, given: Case, escaped: list[str]) -> str:
    """Play one, in its way; add what nobody has caught."""
    asyncio.get_running_loop().set_exception_handler(
        lambda _, told: escaped.append(f"BAD {told['message']} {told.get('exception')!r}")
    )
    if given.way == "replay":
        return await replayed(opened, given.file)
    if given.way == "live":
        return await watched(str(given.file))
    async with broken_camera(given.file, given.random) as url:
        return await watched(url)


def wrong(log: Log) -> str:
    """Return what was logged that users must never see; nothing if all is well."""
    for entry in log:
        if entry.get("exc_info") or "Traceback" in str(entry):
            return f"BAD {entry['event']} {entry.get('exc_info')!r}"
    return ""


def main(folder: str, seed: str, first: str, last: str) -> None:
    """Play the damaged media of these numbers, one after the other."""
    opened, escaped = open_replay(CONFIG), list[str]()
    threading.excepthook = lambda told: escaped.append(f"BAD in {told.thread}: {told.exc_value!r}")
    sys.unraisablehook = lambda told: escaped.append(f"BAD unraisable: {told.exc_value!r}")
    for number in range(int(first), int(last)):
        given = case(Path(folder), int(seed), number)
        print(number, given.about, flush=True)
        with capture_logs() as log:
            try:
                outcome = asyncio.run(played(opened, given, escaped))
            except Exception as error:  # what is looked for
                outcome = f"BAD {error!r}"
        if given.way != "rtsp":
            given.file.unlink()
        print(number, "=", wrong(log) or "".join(escaped) or outcome, flush=True)
        escaped.clear()


if __name__ == "__main__":
    main(*sys.argv[1:])
