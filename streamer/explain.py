"""Judgements → judgements that say why."""

from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial

from engines import clues
from engines.baseline import Baselines
from engines.explain import explain as say_why
from streamer.flow import Judged
from streamer.skew import shared_by
from streamer.worker import Worker


async def explain(
    judged: AsyncIterator[Judged], worker: Worker, *, words: bool
) -> AsyncIterator[Judged]:
    """Compare each window with how its person usually is, and say why it is judged so, in order.

    ``words`` says whether what was said may be repeated.
    """
    baselines = Baselines()
    async for each in judged:
        yield await worker.run(_explained, each, baselines, words=words)


def _explained(each: Judged, baselines: Baselines, *, words: bool) -> Judged:
    recognised, judgement = each.recognised, each.judgement
    window = recognised.window
    person = (window.epoch.id, window.track)
    measured = list(recognised.clues)
    if window.track is not None:
        measured = baselines.compared(person, measured)
        if recognised.phase == "final":
            baselines.learn(person, measured)
    found = measured + clues.of_trust(
        judgement,
        recognised.opinions,
        recognised.ensemble.policy,
        recognised.quality,
        (window.start_s, window.end_s),
        partial(shared_by, skew_s=window.skew_s, length_s=window.end_s - window.start_s),
    )
    may_be_said = found if words else [_silent(clue) for clue in found]
    why = say_why(judgement.verdict, judgement.fused, may_be_said)
    return replace(each, clues=tuple(may_be_said), explanation=why)


def _silent(clue: clues.Clue) -> clues.Clue:
    return replace(clue, word="") if clue.source == "text" else clue
