"""The log is bounded in rate, and holds no credential."""

from collections.abc import Iterator
from contextlib import suppress

import pytest
import structlog

from streamer.logs import DIFFERENT, OFTEN, Bounded, Entry, log_to_stderr, without_credentials


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Log:
    """What a bounded log writes."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.lines: list[str] = []
        self._bounded = Bounded(lambda _, method, entry: f"{method}: {entry['event']}", self.clock)

    def say(self, event: str, method: str = "info", **facts: object) -> None:
        entry: Entry = {"event": event, **facts}
        with suppress(structlog.DropEvent):
            self.lines += self._bounded(None, method, entry).splitlines()


def test_what_repeats_is_counted_and_said_once_a_minute() -> None:
    log = Log()
    for second in range(42):
        log.clock.now_s = second
        log.say("camera door: online", media=str(second))
    assert log.lines == ["info: camera door: online"] * OFTEN
    log.clock.now_s = 60
    log.say("stopping")
    assert log.lines[OFTEN:] == [
        "info: camera door: online … and 37 more within a minute",
        "info: stopping",
    ]


def test_it_is_written_again_in_the_next_minute() -> None:
    log = Log()
    for _ in range(2):
        for _ in range(OFTEN + 1):
            log.say("lost")
        log.clock.now_s += 60
    log.say("lost")
    more = "info: lost … and 1 more within a minute"
    assert log.lines == [*["info: lost"] * OFTEN, more] * 2 + ["info: lost"]


def test_what_came_seldom_needs_no_summary() -> None:
    log = Log()
    for _ in range(OFTEN):
        log.say("lost")
    log.clock.now_s = 60
    log.say("stopping")
    assert log.lines[-1:] == ["info: stopping"]
    assert len(log.lines) == OFTEN + 1


def test_levels_are_told_apart() -> None:
    log = Log()
    for _ in range(OFTEN):
        log.say("lost")
    log.say("lost", "warning")
    assert log.lines[-1] == "warning: lost"


def test_a_flood_of_different_messages_is_bounded_too() -> None:
    log = Log()
    for number in range(10_000):
        log.say(f"message {number}")
    assert len(log.lines) == DIFFERENT + OFTEN
    log.clock.now_s = 60
    log.say("stopping")
    more = 10_000 - DIFFERENT - OFTEN
    assert f"info: other messages … and {more} more within a minute" in log.lines


@pytest.fixture
def unconfigured() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def fail(address: str) -> None:
    raise OSError(f"cannot open {address}")


@pytest.mark.usefixtures("unconfigured")
def test_no_address_keeps_its_login(capsys: pytest.CaptureFixture[str]) -> None:
    log_to_stderr()
    log, password = structlog.get_logger(), "a local s3cret"
    try:
        fail("rtsp://admin:s3cr@t@10.0.0.2/x")
    except OSError:
        log.exception("lost mqtt://bob:s3cret@broker", at="http://admin:s3cret@cam/")
        assert password
    text = capsys.readouterr().err
    assert "s3cr" not in text
    assert "t@10.0.0.2" not in text
    assert "rtsp://…@10.0.0.2/x" in text
    assert "OSError" in text


@pytest.mark.parametrize("text", ["see http://a/b@c and x@y", "no address", "rtsp://host/path"])
def test_what_is_no_login_stays(text: str) -> None:
    assert without_credentials(text) == text
