"""Windows → opinions: every engine judges what the window holds for it."""

import asyncio
from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from engines import examine
from engines.clues import Clue
from engines.engine import Answer, Engine
from engines.manifest import Kind, Modality
from engines.opinion import Opinion
from engines.preprocess.text import words
from engines.quality import Quality, measure
from engines.window import FaceWindow, SequenceWindow, TextWindow, VoiceWindow
from streamer.batching import Batcher
from streamer.ensemble import Ensemble, Panel
from streamer.event import Absence, Transcript
from streamer.flow import Recognised, Said, Window
from streamer.worker import Worker


async def recognise(
    windows: AsyncIterator[Window], panel: Panel, worker: Worker, batcher: Batcher | None = None
) -> AsyncIterator[Recognised]:
    """Judge the face and the voice of each window, in order.

    Engines run on ``worker``; those that gain by it together with other cameras' windows, where
    there is a ``batcher``.
    """
    ask = _Ask(panel, worker, batcher)
    async for window in windows:
        yield await ask.judged(partial(ask.window, window), panel.sitting, _inputs(window))


Input = FaceWindow | VoiceWindow | TextWindow
Sequences = Mapping[Modality, npt.NDArray[np.float32]]


@dataclass(frozen=True, slots=True, eq=False)
class Examined:
    """What an engine believes of what it was given, how good that was, and what stands out."""

    opinion: Opinion
    quality: Quality
    clues: Sequence[Clue]
    sequence: npt.NDArray[np.float32]
    """(n, D), as of the engine's answer."""


@dataclass(frozen=True, slots=True)
class _Ask:
    """Has windows judged: on whose threads, and by whom instead of an ensemble that fails."""

    panel: Panel
    worker: Worker
    batcher: Batcher | None

    async def judged(
        self,
        call: Callable[[Ensemble], Awaitable[Recognised]],
        ensemble: Ensemble,
        inputs: Collection[Modality],
    ) -> Recognised:
        """Have a window with these modalities judged by an ensemble, or by whoever takes its place
        when it fails."""
        kinds: set[Kind] = {*inputs, "multilabel"}
        while True:
            try:
                recognised = await call(ensemble)
            except Exception as error:
                instead = self.panel.instead_of(ensemble, kinds, error)
                if instead is None:
                    raise
                ensemble = instead
            else:
                several: set[Kind] = {"multilabel"} if recognised.emotions else set()
                self.panel.judged(ensemble, {*recognised.opinions, *several})
                return recognised

    async def window(self, window: Window, ensemble: Ensemble) -> Recognised:
        """Judge face and voice, and what they show together."""
        inputs = _inputs(window)
        together = {
            kind: self._together(self.batcher, engine, inputs[kind])
            for kind, engine in ensemble.engines.items()
            if self.batcher and kind in inputs and engine.runtime.batches
        }
        known = dict(zip(together, await asyncio.gather(*together.values()), strict=True))
        return await self._emotions(await self.worker.run(judge, window, ensemble, known))

    async def _together(self, batcher: Batcher, engine: Engine, given: Input) -> Examined:
        """Examine what an engine is given, in calls that it shares with other cameras."""
        parts = await self.worker.run(examine.parts_of, given)
        asked = (batcher.judge(engine, each) for each in (given, *parts))
        answer, *answers = await asyncio.gather(*asked)
        opinions = [part.opinion for part in answers]
        return await self.worker.run(_examined, given, answer, opinions)

    async def words(self, each: Recognised, said: Transcript, ensemble: Ensemble) -> Recognised:
        """Judge the words, too, and the rest again if others judged that."""
        if ensemble is not each.ensemble:
            each = await self.window(each.window, ensemble)
        each = replace(each, phase="final", transcript=said)
        engine, text = ensemble.engines.get("text"), _text(each.window, said)
        if engine is None or text is None:
            why: Absence = "no_engine" if engine is None else "unintelligible"
            return replace(each, absent={**each.absent, "text": why})
        if self.batcher and engine.runtime.batches:
            examined = await self._together(self.batcher, engine, text)
        else:
            examined = await self.worker.run(_examine, text, engine)
        each = replace(
            each,
            opinions={**each.opinions, "text": examined.opinion},
            quality={**each.quality, "text": examined.quality},
            clues=(*each.clues, *examined.clues),
            sequences=_sequences({"text": examined}, ensemble, each.sequences),
        )
        return await self._emotions(each)

    async def _emotions(self, each: Recognised) -> Recognised:
        """Ask the multilabel engine, if there is one; should it fail the window goes without."""
        engine = each.ensemble.multilabel
        if engine is None or not each.sequences:
            return each
        window = SequenceWindow(each.sequences)
        try:
            if self.batcher and engine.runtime.batches:
                return replace(each, emotions=await self.batcher.judge(engine, window))
            (emotions,) = await self.worker.run(engine.answers, [window])
        except Exception as error:
            if not self.panel.spares(each.ensemble, error):
                raise
            return replace(each, emotions=None)
        return replace(each, emotions=emotions)


def judge(
    window: Window, ensemble: Ensemble, known: Mapping[Modality, Examined] = MappingProxyType({})
) -> Recognised:
    """Return the opinions of face and voice, or why there is none; some are ``known``. Blocks."""
    inputs = _inputs(window)
    unsaid = window.absent.get("voice", "no_transcriber") if window.said is None else "pending"
    absent: dict[Modality, Absence] = {"text": unsaid, **window.absent}
    found = {
        kind: known[kind] if kind in known else _examine(given, engine)
        for kind, engine in ensemble.engines.items()
        if (given := inputs.get(kind))
    }
    for kind in ("face", "voice"):
        if kind not in found and kind not in absent:
            absent[kind] = "no_engine"
    return Recognised(
        window,
        ensemble,
        {kind: each.opinion for kind, each in found.items()},
        absent,
        "update" if window.said else "final",
        quality={kind: each.quality for kind, each in found.items()},
        clues=tuple(clue for each in found.values() for clue in each.clues),
        sequences=_sequences(found, ensemble),
    )


def _sequences(
    found: Mapping[Modality, Examined], ensemble: Ensemble, others: Sequences = MappingProxyType({})
) -> Sequences:
    """Keep what is to be asked about; nothing where nobody is."""
    if ensemble.multilabel is None:
        return {}
    return {**others, **{kind: each.sequence for kind, each in found.items()}}


def _examine(given: Input, engine: Engine) -> Examined:
    (answer,) = engine.answers([given])
    return _examined(given, answer, engine.judge_all(examine.parts_of(given)))


def _examined(given: Input, answer: Answer, parts: Sequence[Opinion]) -> Examined:
    clues = examine.of(given, answer, parts)
    return Examined(answer.opinion, measure(given), clues, answer.sequence)


def _inputs(window: Window) -> dict[Modality, FaceWindow | VoiceWindow]:
    inputs: dict[Modality, FaceWindow | VoiceWindow | None] = {
        "face": window.face,
        "voice": window.voice,
    }
    return {kind: given for kind, given in inputs.items() if given is not None}


async def add_words(
    recognised: AsyncIterator[Recognised],
    panel: Panel,
    worker: Worker,
    batcher: Batcher | None = None,
    *,
    updates: bool = True,
    in_step: bool = False,
) -> AsyncGenerator[Recognised, None]:
    """Yield each window again when its words are there, final; in window order.

    With ``updates`` what must wait for words, its own or an earlier window's, also comes at once,
    as an update. ``in_step`` makes the next window wait, too, so that the order of updates and
    finals is always the same.
    """
    ask = _Ask(panel, worker, batcher)
    if in_step:
        async for each in recognised:
            if updates and each.phase == "update":
                yield each
            yield await _final(each, ask)
        return
    # Updates whose finals are still to come: bounded by how long words are waited for.
    held: deque[Recognised] = deque()
    ahead = _Ahead(recognised)
    try:
        while held or not ahead.ended:
            if held and _settled(held[0]):
                yield await _final(held.popleft(), ask)
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


async def _final(each: Recognised, ask: _Ask) -> Recognised:
    """Add what the text engine believes of a window's words, or why it believes nothing."""
    if each.window.said is None:
        return each
    said = await each.window.said
    if not isinstance(said, Transcript):
        return replace(each, phase="final", absent={**each.absent, "text": said})
    kinds = {"text", *_inputs(each.window)}
    return await ask.judged(partial(ask.words, each, said), each.ensemble, kinds)


def _text(window: Window, said: Transcript) -> TextWindow | None:
    if said.english is None or not words(said.english):
        return None
    return TextWindow(
        window.start_s, window.end_s, said.english, said.avg_logprob, said.no_speech_prob
    )
