"""`credence watch`: what a broker's cameras say, as lines for people or as JSON Lines."""

import sys
from collections.abc import Callable, Hashable, Iterator
from typing import Final, TextIO

from aiomqtt import Message
from pydantic import ValidationError
from rich.console import Console
from rich.text import Text

from streamer.broker import Broker, Client
from streamer.event import EmotionEvent
from streamer.link import Link, backoff

_REMEMBERED: Final = 4096
_BAR_CELLS: Final = 10


async def watch(
    broker: Broker,
    *,
    node: str = "+",
    camera: str = "+",
    as_json: bool = False,
    out: TextIO,
    notices: TextIO | None = None,
    delays: Callable[[], Iterator[float]] = backoff,
) -> None:
    """Show every event of the node and camera until cancelled; `+` is any.

    Events go to ``out``, each once; who comes and goes, to ``notices`` (standard error).
    """
    viewer = Viewer(broker.prefix, out, notices or sys.stderr, as_json=as_json)

    async def session(client: Client) -> None:
        await client.listen(
            broker.topic(node, "availability"),
            broker.topic(node, camera, "status"),
            broker.topic(node, camera, "event"),
        )
        async for message in client.received():
            viewer.show(message)

    try:
        await Link(broker, delays=delays).hold(session)
    finally:
        viewer.sum_up()


class Viewer:
    """Turns messages into lines. What is malformed is counted and said once."""

    def __init__(self, prefix: str, out: TextIO, notices: TextIO, *, as_json: bool) -> None:
        self._prefix, self._out, self._as_json = prefix, out, as_json
        self._console = Console(file=out, highlight=False, soft_wrap=True)
        self._notices = Console(file=notices, highlight=False, soft_wrap=True)
        self._seen = Recent(_REMEMBERED)
        self._present: dict[str, str] = {}
        self.malformed = 0

    def show(self, message: Message) -> None:
        """Show one message, unless it says nothing new."""
        levels = message.topic.value.removeprefix(f"{self._prefix}/").split("/")
        match levels:
            case [node, "availability"]:
                self._show_presence(f"node {node}", message.payload)
            case [node, camera, "status"]:
                self._show_presence(f"camera {node}/{camera}", message.payload)
            case [node, camera, "event"]:
                self._show_event(f"{node}/{camera}", message.payload)

    def sum_up(self) -> None:
        """Say how many messages were left out, where it was more than the one complained of."""
        if self.malformed > 1:
            self._note(f"{self.malformed} messages that were no emotion events were left out")

    def _show_event(self, name: str, payload: bytes) -> None:
        try:
            event = EmotionEvent.model_validate_json(payload)
        except ValidationError as error:
            self._count_malformed(name, error)
            return
        if not self._seen.is_new((event.source, event.id)):
            return
        if self._as_json:
            self._out.write(_one_line(payload, event) + "\n")
            self._out.flush()
        else:
            self._console.print(event_line(name, event, ascii_only=_is_ascii(self._console)))

    def _show_presence(self, who: str, payload: bytes) -> None:
        state = _printable(payload.decode(errors="replace"))
        if state and self._present.get(who) != state:
            self._present[who] = state
            self._note(f"{who} is {state}")

    def _count_malformed(self, name: str, error: ValidationError) -> None:
        self.malformed += 1
        if self.malformed == 1:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "payload"
            self._note(
                f"{name} sent something that is no emotion event "
                f"({where}: {first['msg']}); left out, and so will be others"
            )

    def _note(self, text: str) -> None:
        self._notices.print(Text(_printable(text), style="yellow"))


class Recent:
    """Remembers the latest keys, as many as its size."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._keys: dict[Hashable, None] = {}

    def is_new(self, key: Hashable) -> bool:
        """Tell whether the key is new, and remember it."""
        if key in self._keys:
            return False
        self._keys[key] = None
        if len(self._keys) > self._size:
            del self._keys[next(iter(self._keys))]
        return True


def event_line(name: str, event: EmotionEvent, *, ascii_only: bool = False) -> Text:
    """Describe an event in one line, of what can be printed anywhere."""
    data = event.data
    who = f"#{data.person.track}" if data.person else "-"
    verdict = "trusted" if data.trusted else data.reason.value.replace("_", " ")
    return Text.assemble(
        f"{event.time:%Y-%m-%d %H:%M:%S}  {_printable(name):<16} {who:>4}  {data.window.kind:<8}",
        "          " if data.phase == "final" else "(update)  ",
        (f"{data.emotion or 'none':<10}", "bold"),
        f"{_bar(data.confidence, ascii_only=ascii_only)} {data.confidence:4.0%}  ",
        (f"{verdict:<16}", "green" if data.trusted else "dim"),
        f"u {data.uncertainty:.2f}  conflict {data.conflict:.2f}",
    )


def _bar(share: float, *, ascii_only: bool) -> str:
    full, empty = "#." if ascii_only else "█░"
    filled = round(share * _BAR_CELLS)
    return full * filled + empty * (_BAR_CELLS - filled)


def _is_ascii(console: Console) -> bool:
    return not console.encoding.lower().startswith("utf")


def _printable(text: str) -> str:
    """Names come from the network: no control sequence of theirs may reach a terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _one_line(payload: bytes, event: EmotionEvent) -> str:
    """Return the payload as it came, unless its writer spread it over several lines."""
    return event.model_dump_json() if b"\n" in payload else payload.decode()
