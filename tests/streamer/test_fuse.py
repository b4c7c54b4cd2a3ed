"""What is combined of a window, and what it costs that sound and pictures are out of step."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import numpy as np
import pytest

from engines.manifest import Modality
from engines.opinion import Opinion
from engines.verdict import UNCERTIFIED
from engines.window import FaceWindow, VoiceWindow
from streamer.ensemble import Ensemble
from streamer.flow import Epoch, Recognised, Window
from streamer.fuse import fuse

EPOCH = Epoch("e", datetime.now(UTC), has_video=True, has_audio=True)
FACE = FaceWindow(0.0, 2.0, np.zeros((1, 48, 48), np.uint8))
VOICE = VoiceWindow(0.0, np.zeros(32_000, np.float32))
SURE = Opinion.from_evidence([0, 0, 0, 60, 0, 0, 0])


async def uncertainty(skew_s: float | None, *kinds: Modality) -> float:
    window = Window(EPOCH, "speech", 0.0, 2.0, 1, FACE, VOICE, {}, skew_s)
    given = Recognised(window, Ensemble({}, UNCERTIFIED), dict.fromkeys(kinds, SURE), {})

    async def one() -> AsyncIterator[Recognised]:
        yield given

    (judged,) = [each async for each in fuse(one())]
    return float(judged.judgement.fused.uncertainty)


async def test_skew_discounts_what_is_combined_of_two_media() -> None:
    whole = await uncertainty(None, "face", "voice")
    assert await uncertainty(0.3, "face", "voice") == whole
    assert await uncertainty(-1.0, "face", "voice") == pytest.approx(1 - 0.7 * (1 - whole))
    assert await uncertainty(-1.0, "face", "text") > whole


async def test_skew_costs_nothing_where_one_medium_alone_is_judged() -> None:
    for kinds in (("voice",), ("face",), ("voice", "text")):
        alone = await uncertainty(None, *kinds)
        assert await uncertainty(2.0, *kinds) == alone
