"""Opinions → one judgement per window, by the policy."""

from collections.abc import AsyncIterator

from engines.verdict import Policy
from streamer.flow import Judged, Recognised


async def fuse(recognised: AsyncIterator[Recognised], policy: Policy) -> AsyncIterator[Judged]:
    """Combine each window's opinions and decide whether to trust the result, in order."""
    async for each in recognised:
        yield Judged(each, policy.judge(each.opinions, each.quality))
