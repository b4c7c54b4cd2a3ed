"""The live table: a row for each camera, whatever they are called and however often they speak."""

import io

import pytest
import structlog
from rich.console import Console
from rich.text import Text

from streamer.looks import gauge
from streamer.table import CameraTable
from streamer.watch import Inbox
from tests.streamer.conftest import MakeEvent
from tests.streamer.events import SEVERAL
from tests.streamer.test_watch import message


def drawn(table: CameraTable) -> list[str]:
    console = Console(file=io.StringIO(), width=110, record=True, force_terminal=True)
    console.print(table.render())
    return [line.rstrip() for line in console.export_text().splitlines()]


@pytest.fixture
def table() -> CameraTable:
    return CameraTable(Console(file=io.StringIO(), width=110))


def test_each_camera_has_a_row_with_its_latest_event(
    table: CameraTable, make_event: MakeEvent
) -> None:
    inbox = Inbox("credence", table)
    inbox.take(message("credence/lab/availability", "online"))
    inbox.take(message("credence/lab/yard/status", "offline"))
    inbox.take(message("credence/lab/door/status", "online"))
    inbox.take(message("credence/lab/door/event", make_event(n=0, emotion="anger")))
    inbox.take(message("credence/lab/door/event", make_event(n=1)))
    head, door, yard = drawn(table)
    assert head.split()[:3] == ["camera", "status", "UTC"]
    bar = "━" * 6
    expected = f"lab/door online 00:00:04 #1 happiness {bar} 90% trusted 0.20 0.05"
    assert door.split() == expected.split()
    assert yard.split() == ["lab/yard", "offline"]


def test_emotions_that_are_shown_stand_beside_the_verdict(
    table: CameraTable, make_event: MakeEvent
) -> None:
    inbox = Inbox("credence", table)
    inbox.take(message("credence/lab/door/event", make_event(emotions=SEVERAL)))
    inbox.take(message("credence/lab/yard/event", make_event("yard")))
    head, door, more, yard = drawn(table)
    assert head.split()[-1] == "shows"
    assert door.split()[-2:] == ["happiness", "81%"]
    assert more.split() == ["surprise", "47%"]
    assert yard.split()[-1] == "0.05"
    inbox.take(message("credence/lab/door/event", make_event(n=1, emotions=None)))
    assert "shows" not in drawn(table)[0]


def test_without_its_node_a_camera_counts_for_nothing(table: CameraTable) -> None:
    inbox = Inbox("credence", table)
    inbox.take(message("credence/lab/door/status", "online"))
    inbox.take(message("credence/lab/availability", "offline"))
    assert drawn(table)[1].split() == ["lab/door", "node", "offline"]


def test_names_cannot_steer_a_terminal(make_event: MakeEvent) -> None:
    out = io.StringIO()
    table = CameraTable(Console(file=out, width=160))
    inbox = Inbox("credence", table)
    inbox.take(message("credence/lab/d\x1b]0;x\x07[red]/event", make_event()))
    inbox.take(message("credence/lab/d\x9b31m/status", "on\x1b[2Jline"))
    inbox.take(message("credence/lab/door/event", "\x1b[31m"))
    console = Console(file=out, width=160)
    console.print(table.render())
    assert "lab/d?]0;x?[red]" in out.getvalue()
    assert "on?[2Jline" in out.getvalue()
    assert "sent something that is no emotion event" in out.getvalue()
    assert not {"\x1b", "\x07", "\x9b"} & set(out.getvalue())


def test_warnings_are_notices_while_it_is_shown(
    capsys: pytest.CaptureFixture[str], make_event: MakeEvent
) -> None:
    out, log = io.StringIO(), structlog.get_logger()
    with CameraTable(Console(file=out, width=110, force_terminal=True)) as table:
        log.info("broker connected")
        log.warning("cannot use the broker", tries=1)
        Inbox("credence", table).take(message("credence/lab/door/event", make_event()))
    log.warning("after it")
    assert "! cannot use the broker, tries 1" in out.getvalue()
    assert "lab/door" in out.getvalue()
    assert "broker connected" not in out.getvalue()
    assert "after it" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("share", "more", "text"),
    [(0.0, 0.0, ".........."), (0.5, 0.2, "#####==..."), (0.9, 0.3, "#########=")],
)
def test_gauge_shows_what_may_be_more(share: float, more: float, text: str) -> None:
    drawn = gauge(share, "cyan", more=more, ascii_only=True)
    assert isinstance(drawn, Text)
    assert drawn.plain == text


def test_a_camera_that_works_in_part_says_so(table: CameraTable) -> None:
    Inbox("credence", table).take(message("credence/lab/door/status", "online: no sound"))
    assert drawn(table)[1].split() == ["lab/door", "online:", "no", "sound"]
    assert table._status("lab", table._rows["lab", "door"]).style == "yellow"
