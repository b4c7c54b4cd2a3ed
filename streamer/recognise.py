"""Windows → opinions: every engine judges what the window holds for it."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import replace
from functools import partial
from typing import Any

from engines.manifest import Modality
from engines.opinion import Opinion
from engines.preprocess.text import words
from engines.quality import Quality, measure
from engines.window import TextWindow
from streamer.ensemble import Ensemble, Panel
from streamer.event import Absence, Phase, Transcript
from streamer.flow import Recognised, Said, Window
from streamer.worker import Worker


async def recognise(
    windows: AsyncIterator[Window], panel: Panel, worker: Worker
) -> AsyncIterator[Recognised]:
    """Judge the face and the voice of each window, in order."""
    async for window in windows:
        yield await _judged(partial(judge, window), panel, panel.sitting, worker)


async def _judged(
    call: Callable[[Ensemble], Recognised], panel: Panel, ensemble: Ensemble, worker: Worker
) -> Recognised:
    """Have a window judged by an ensemble, or by whoever takes its place when it fails."""
    while True:
        try:
            recognised = await worker.run(call, ensemble)
        except Exception as error:
            instead = panel.instead_of(ensemble, error)
            if instead is None:
                raise
            ensemble = instead
        else:
            panel.judged(ensemble, recognised.opinions)
            return recognised


def judge(window: Window, ensemble: Ensemble) -> Recognised:
    """Return the opinions of face and voice, or why there is none. Blocks."""
    inputs = {"face": window.face, "voice": window.voice}
    opinions: dict[Modality, Opinion] = {}
    quality: dict[Modality, Quality] = {}
    unsaid = window.absent.get("voice", "no_transcriber") if window.said is None else "pending"
    absent: dict[Modality, Absence] = {"text": unsaid, **window.absent}
    for kind, engine in ensemble.engines.items():
        if (given := inputs.get(kind)) is not None:
            opinions[kind], quality[kind] = engine.judge(given), measure(given)
    for kind in ("face", "voice"):
        if kind not in opinions and kind not in absent:
            absent[kind] = "no_engine"
    phase: Phase = "update" if window.said else "final"
    return Recognised(window, ensemble, opinions, absent, phase, quality=quality)


async def add_words(
    recognised: AsyncIterator[Recognised],
    panel: Panel,
    worker: Worker,
    *,
    updates: bool = True,
    in_step: bool = False,
) -> AsyncGenerator[Recognised, None]:
    """Yield each window again when its words are there, final; in window order.

    With ``updates`` what must wait for words, its own or an earlier window's, also comes at once,
    as an update. ``in_step`` makes the next window wait, too, so that the order of updates and
    finals is always the same.
    """
    if in_step:
        async for each in recognised:
            if updates and each.phase == "update":
                yield each
            yield await _final(each, panel, worker)
        return
    held: deque[Recognised] = deque()  # updates whose finals are still to come
    ahead = _Ahead(recognised)
    try:
        while held or not ahead.ended:
            if held and _settled(held[0]):
                yield await _final(held.popleft(), panel, worker)
            elif (new := await ahead.take(held[0].window.said if held else None)) is not None:
                if updates and (held or not _settled(new)):
                    yield replace(new, phase="update")
                held.append(new)
    finally:
        await ahead.close()


class _Ahead:
    """Has the next window made while an earlier one waits for its words."""

    def __init__(self, recognised: AsyncIterator[Recognised]) -> None:
        self._recognised = recognised
        self._coming: asyncio.Task[Recognised | None] | None = self._begin()

    @property
    def ended(self) -> bool:
        return self._coming is None

    async def take(self, unless: "asyncio.Future[Said] | None") -> Recognised | None:
        """Return the next window; None when ``unless`` is settled first, and at the end."""
        either: list[asyncio.Future[Any]] = [
            future for future in (self._coming, unless) if future is not None
        ]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if self._coming is None or not self._coming.done():
            return None
        each = self._coming.result()
        self._coming = self._begin() if each else None
        return each

    async def close(self) -> None:
        if self._coming:
            self._coming.cancel()
            await asyncio.wait([self._coming])

    def _begin(self) -> "asyncio.Task[Recognised | None]":
        async def one() -> Recognised | None:
            return await anext(self._recognised, None)

        return asyncio.create_task(one(), name="next window")


def _settled(each: Recognised) -> bool:
    return each.window.said is None or each.window.said.done()


async def _final(each: Recognised, panel: Panel, worker: Worker) -> Recognised:
    """Add what the text engine believes of a window's words, or why it believes nothing."""
    window = each.window
    if window.said is None:
        return each
    said = await window.said
    if not isinstance(said, Transcript):
        return replace(each, phase="final", absent={**each.absent, "text": said})
    return await _judged(partial(_with_words, each, said), panel, each.ensemble, worker)


def _with_words(each: Recognised, said: Transcript, ensemble: Ensemble) -> Recognised:
    """Judge the words of a window, too, and its rest again if others judged that. Blocks."""
    if ensemble is not each.ensemble:
        each = judge(each.window, ensemble)
    each = replace(each, phase="final", transcript=said)
    engine = ensemble.engines.get("text")
    if engine is None or said.english is None or not words(said.english):
        why: Absence = "no_engine" if engine is None else "unintelligible"
        return replace(each, absent={**each.absent, "text": why})
    text = TextWindow(
        each.window.start_s, each.window.end_s, said.english, said.avg_logprob, said.no_speech_prob
    )
    return replace(
        each,
        opinions={**each.opinions, "text": engine.judge(text)},
        quality={**each.quality, "text": measure(text)},
    )
