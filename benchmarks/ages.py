"""When the media that complete a window are there: before that, no event can be out.

Known from outside, by what is documented: an utterance ends with `vad.hangover_s` of silence after
its last voiced frame, of which it keeps 0.09 s, or is cut where it reaches `windows.longest_s`; a
window of a face alone is whole once speech that began in it would have been noticed, which takes
`vad.pre_roll_s` and 0.24 s; one that is shorter waits for the end of the utterance that cut it off.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from streamer.config import Config, Vad

_TAIL_S = 0.09
_ONSET_S = 0.24


@dataclass(frozen=True, slots=True)
class Span:
    """A window of one camera."""

    kind: str
    start_s: float
    end_s: float

    @classmethod
    def of(cls, line: str) -> Self:
        """Return the window of an event, which is a line of JSON."""
        window = json.loads(line)["data"]["window"]
        return cls(window["kind"], window["start_s"], window["end_s"])


def closed_s(spans: Sequence[Span], config: Config) -> list[float]:
    """Return when each window could be known to be whole, but for the last, on the media clock.

    ``spans`` are in order; as the last may go on, only what follows tells how it ended.
    """
    found: list[float] = []
    for at in range(len(spans) - 2, -1, -1):
        after_s = found[-1] if found else _closed_s(spans[at + 1], None, config)
        found.append(_closed_s(spans[at], (spans[at + 1], after_s), config))
    return found[::-1]


def silenced_s(end_s: float, vad: Vad) -> float:
    """Return when the silence that closes an utterance which ends then has been heard."""
    return end_s - _TAIL_S + vad.hangover_s


def _closed_s(span: Span, after: tuple[Span, float] | None, config: Config) -> float:
    following, following_closed_s = after or (None, 0.0)
    if span.kind == "speech":
        silent_s = silenced_s(span.end_s, config.vad)
        goes_on = following and following.start_s < silent_s
        longest_s, long_s = config.windows.longest_s, span.end_s - span.start_s
        cut = goes_on and following and following.kind == "speech" and long_s > longest_s / 2
        return span.start_s + longest_s if cut else silent_s
    if following and span.end_s - span.start_s < config.windows.ambient_every_s - 1e-6:
        return following_closed_s
    return span.end_s + config.vad.pre_roll_s + _ONSET_S
