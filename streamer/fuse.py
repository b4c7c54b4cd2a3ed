"""Opinions → one judgement per window, by the policy."""

from collections.abc import AsyncIterator

from streamer.flow import Judged, Recognised


async def fuse(recognised: AsyncIterator[Recognised]) -> AsyncIterator[Judged]:
    """Combine each window's opinions and decide whether to trust the result, in order.

    The policy is that of the ensemble whose opinions they are.
    """
    async for each in recognised:
        yield Judged(each, each.ensemble.policy.judge(each.opinions, each.quality))
