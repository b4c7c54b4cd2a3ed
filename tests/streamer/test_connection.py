"""The states of a camera: a table of what may follow what."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import get_args

import pytest

from streamer.connection import FOLLOWS, Connection, ImpossibleTurnError, State

STATES: tuple[State, ...] = get_args(State)
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)

# Rows are where a camera is, columns where it goes: connecting, streaming, stalled, backing_off,
# disabled, ended.
TABLE: dict[State | None, str] = {
    None: "x...xx",
    "connecting": "-x.xxx",
    "streaming": ".-xxxx",
    "stalled": ".x-xxx",
    "backing_off": "x..-xx",
    "disabled": "x...-x",
    "ended": "x...x-",
}
WAYS: dict[State | None, list[State]] = {
    None: [],
    "connecting": ["connecting"],
    "streaming": ["connecting", "streaming"],
    "stalled": ["connecting", "streaming", "stalled"],
    "backing_off": ["connecting", "backing_off"],
    "disabled": ["disabled"],
    "ended": ["ended"],
}


def connection_in(state: State | None) -> Connection:
    seconds = count()
    connection = Connection(lambda: NOON + timedelta(seconds=next(seconds)))
    for each in WAYS[state]:
        connection.turn(each)
    assert connection.state == state
    return connection


@pytest.mark.parametrize("to", STATES)
@pytest.mark.parametrize("state", TABLE)
def test_each_turn_is_possible_or_not(state: State | None, to: State) -> None:
    connection, possible = connection_in(state), TABLE[state][STATES.index(to)]
    before = connection.status
    if possible == ".":
        with pytest.raises(ImpossibleTurnError, match=f"{to} cannot follow {state}"):
            connection.turn(to)
        assert connection.status == before
    elif possible == "x":
        status = connection.turn(to, "why")
        assert status is not None
        assert (status.state, status.why, status.online) == (to, "why", to == "streaming")
        assert before is None or status.since > before.since
    else:
        assert connection.turn(to) is None


def test_the_table_knows_every_state() -> None:
    assert FOLLOWS.keys() == TABLE.keys() == {None, *STATES}


def test_other_words_are_news_and_the_state_goes_on() -> None:
    connection = connection_in("stalled")
    before = connection.status
    assert before is not None
    status = connection.turn("stalled", "no picture", online=True)
    assert status is not None
    assert (status.since, status.online, status.why) == (before.since, True, "no picture")
    assert connection.turn("stalled", "no picture", online=True) is None
