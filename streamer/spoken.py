"""Spoken: what somebody says, while and after they say it, on a topic of its own."""

from datetime import datetime
from typing import Literal, Self

from streamer.event import EmotionEvent, Number, Transcript


class Spoken(Transcript):
    """The words of one utterance: a partial replaces the one before, the final replaces all.

    A partial has no `translation` and no `words`.
    """

    dataschema: Literal["urn:credence:schema:transcript:v1"] = "urn:credence:schema:transcript:v1"
    camera: str
    phase: Literal["partial", "final"]
    window_id: str | None
    """Of the event that judges these words; null in a partial, as its window has not ended."""
    start_s: Number
    """When the utterance began (media clock), as in `data.window`; the same in all its phases."""
    end_s: Number
    """Up to when it was heard."""
    time: datetime
    """`end_s` on the wall clock."""

    @classmethod
    def of(cls, event: EmotionEvent) -> Self | None:
        """Return the final words of an event; None where it holds none."""
        data = event.data
        if data.phase != "final" or data.transcript is None:
            return None
        return cls(
            **dict(data.transcript),
            camera=data.camera,
            phase="final",
            window_id=data.window_id,
            start_s=data.window.start_s,
            end_s=data.window.end_s,
            time=event.time,
        )
