"""Opinions → one judgement per window, by the policy."""

from collections.abc import AsyncIterator

from streamer.flow import Judged, Recognised
from streamer.skew import shared_by


async def fuse(recognised: AsyncIterator[Recognised]) -> AsyncIterator[Judged]:
    """Combine each window's opinions and decide whether to trust the result, in order.

    The policy is that of the ensemble whose opinions they are.
    """
    async for each in recognised:
        window, opinions = each.window, each.opinions
        share = shared_by(opinions, window.skew_s, window.end_s - window.start_s)
        yield Judged(each, each.ensemble.policy.judge(opinions, each.quality, share))
