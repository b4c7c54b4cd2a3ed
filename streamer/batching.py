"""Windows of all cameras that one engine is asked about at nearly the same time, judged at once."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from streamer.worker import Worker

WindowT_contra = TypeVar("WindowT_contra", contravariant=True)
AnswerT_co = TypeVar("AnswerT_co", covariant=True)


class Judge(Protocol[WindowT_contra, AnswerT_co]):
    """An engine: asked about several windows, it answers as many times, in their order."""

    def answers(self, windows: Sequence[WindowT_contra]) -> Sequence[AnswerT_co]:
        """Judge windows, by one call of its runtime. Blocks."""


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    window: object
    until_s: float
    """By the loop's clock, when it has waited long enough for others."""
    answer: "asyncio.Future[Any]"


class Batcher:
    """Asks the engines of one device, on a thread of its own, about several windows at a time.

    For engines whose `runtime.batches` alone: on others nothing is gained by waiting.
    """

    def __init__(self, within_s: float) -> None:
        """A window waits ``within_s`` for others, and as long as the device is busy."""
        self._within_s = within_s
        self.worker = Worker("device")
        """Its thread."""
        self._asked: dict[Judge[Any, Any], list[_Asked]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def judge(
        self, engine: Judge[WindowT_contra, AnswerT_co], window: WindowT_contra
    ) -> AnswerT_co:
        """Return what an engine believes of a window; what it raises is raised to all who wait."""
        loop = asyncio.get_running_loop()
        asked = _Asked(window, loop.time() + self._within_s, loop.create_future())
        if (waiting := self._asked.get(engine)) is not None:
            waiting.append(asked)
        else:
            self._asked[engine] = [asked]
            task = loop.create_task(self._serve(engine), name="batches")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        answer: AnswerT_co = await asked.answer
        return answer

    def close(self) -> None:
        """Judge nothing more."""
        for task in self._tasks:
            task.cancel()
        self.worker.close()

    async def _serve(self, engine: Judge[Any, Any]) -> None:
        """Judge what an engine is asked, until it is asked nothing."""
        waiting, clock = self._asked[engine], asyncio.get_running_loop().time
        while waiting:
            await asyncio.sleep(waiting[0].until_s - clock())
            batch = [asked for asked in waiting if not asked.answer.done()]
            waiting.clear()
            if batch:
                await self._judge(engine, batch)
        del self._asked[engine]

    async def _judge(self, engine: Judge[Any, Any], batch: list[_Asked]) -> None:
        try:
            answers = await self.worker.run(engine.answers, [each.window for each in batch])
            answered = list(zip(batch, answers, strict=True))
        except Exception as error:
            for each in batch:
                if not each.answer.done():  # it may be cancelled meanwhile
                    each.answer.set_exception(error)
        else:
            for each, answer in answered:
                if not each.answer.done():
                    each.answer.set_result(answer)
