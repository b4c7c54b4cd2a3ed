"""Events made small for the disk: deflate, with a dictionary of what all events have in common."""

import zlib
from datetime import UTC, datetime
from typing import TypeVar

from engines.labels import EMOTIONS
from engines.quality import MEASURES
from engines.verdict import Reason
from streamer.event import EmotionEvent, Part, WindowSpan

P = TypeVar("P", bound=Part)


def pack(event: bytes, dictionary: bytes) -> bytes:
    """Make bytes small."""
    packer = zlib.compressobj(zdict=dictionary)
    return packer.compress(event) + packer.flush()


def unpack(packed: bytes, dictionary: bytes) -> bytes:
    """Return what was packed with this dictionary; zlib.error where that is not so."""
    unpacker = zlib.decompressobj(zdict=dictionary)
    return unpacker.decompress(packed) + unpacker.flush()


def dictionary(like: EmotionEvent) -> bytes:
    """Return the JSON of an event about nobody, from the same engines as another.

    Of what a person expressed it holds nothing: it outlasts the events that it packs.
    """
    never, nothing = datetime.fromtimestamp(0, UTC), dict.fromkeys(EMOTIONS, 0.0)
    vacuous = {"belief": nothing, "uncertainty": 0.0, "trust": 0.0, "reason": None}
    opinions = {
        kind: _with(opinion, **vacuous, present=True, quality=dict.fromkeys(MEASURES[kind], 0.0))
        for kind, opinion in like.data.opinions.items()
    }
    data = _with(
        like.data,
        window_id="",
        phase="final",
        window=WindowSpan(kind="ambient", start_s=0, end_s=0),
        person=None,
        emotion=None,
        confidence=0.0,
        trusted=False,
        reason=Reason.BELOW_THRESHOLD,
        belief=nothing,
        uncertainty=0.0,
        conflict=0.0,
        opinions=opinions,
        transcript=None,
    )
    event = _with(like, id="", time=never, sequence=f"{0:020}", recordedtime=never, data=data)
    return event.model_dump_json().encode()


def _with(part: P, **changed: object) -> P:
    return part.model_copy(update=changed)
