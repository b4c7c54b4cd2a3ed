"""Events → questions to a language model → explanations that say what was measured.

The explanation in an event stands whatever comes of this. Nothing waits for the model but, in a
replay, the end.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Any, Final, Literal, Protocol, get_args

import structlog

from engines.lexicon import forms
from streamer.event import EmotionEvent
from streamer.explanation import ExplanationEvent
from streamer.grounding import Fault, Question, RejectedError
from streamer.link import backoff

Silence = Literal["unreachable", "late", "refused", "oversized", "truncated", "malformed"]
"""Why there is no answer. `late`: not within `timeout_s`. `truncated`: not within `tokens`."""
Result = Literal["accepted", "dropped", "paused"] | Silence | Fault
"""`dropped`: newer events made room. `paused`: not asked, as the endpoint was in trouble."""
RESULTS: Final[tuple[Result, ...]] = (
    "accepted",
    "dropped",
    "paused",
    *get_args(Silence),
    *(fault for fault in get_args(Fault) if fault not in get_args(Silence)),
)
_TROUBLE: Final = ("unreachable", "late", "refused", "oversized")
"""After these it is left alone for a while."""

log = structlog.get_logger()


class UnansweredError(Exception):
    """A language model gave no answer."""

    def __init__(self, result: Silence, problem: str, rest_s: float = 0.0) -> None:
        super().__init__(problem)
        self.result, self.problem = result, problem
        self.rest_s = rest_s
        """For how long it asks to be left alone."""


class Model(Protocol):
    """What is asked."""

    name: str
    url: str

    async def answer(self, prompt: str, content: str, schema: Mapping[str, Any]) -> str:
        """Return an answer; raise UnansweredError where there is none."""

    async def offers(self, patience_s: float) -> tuple[str, ...] | None:
        """Return the models that there are, None where it does not tell; else as `answer`."""

    async def close(self) -> None:
        """Let go of what it holds."""


@dataclass(eq=False)
class Narrator:
    """Asks a language model about final events, one at a time, oldest first."""

    model: Model
    waiting: int
    """So many events wait at most."""
    waits: bool = False
    """Whether `ask` waits for room, as a replay can; else the oldest make it."""
    delays: Callable[[], Iterator[float]] = backoff
    """For how many seconds an endpoint in trouble is left alone."""
    clock: Callable[[], float] = time.monotonic
    results: Counter[tuple[str, Result]] = field(default_factory=Counter, init=False)
    """What came of the events of each camera, by its name."""
    _questions: "asyncio.Queue[Question]" = field(init=False)
    _rest_until_s: float = field(default=0.0, init=False)
    _told: str = field(default="", init=False)

    def __post_init__(self) -> None:
        self._questions = asyncio.Queue(self.waiting)
        self._delays = self.delays()
        forms(), prompt()  # read now: later it would hold up the loop

    def counted(self, cameras: Iterable[str]) -> dict[tuple[str, str], int]:
        """Return what came of the events of cameras, also where it is nothing. Thread-safe."""
        return {
            (name, each): self.results[name, each] for name in list(cameras) for each in RESULTS
        }

    async def ask(self, event: EmotionEvent) -> None:
        """Have an event explained later, if it is one to explain."""
        question = Question.about(event)
        if question is None:
            return
        if self._questions.full() and not self.waits:
            self.results[self._questions.get_nowait().event.subject, "dropped"] += 1
            self._questions.task_done()
        await self._questions.put(question)

    async def run(self, put: Callable[[ExplanationEvent], Awaitable[None]]) -> None:
        """Put every explanation that holds, until cancelled."""
        try:
            while True:
                question = await self._questions.get()
                try:
                    await self._one(question, put)
                finally:
                    self._questions.task_done()
        finally:
            await self.model.close()

    async def finish(self) -> None:
        """Wait until nothing waits any more."""
        await self._questions.join()

    async def _one(
        self, question: Question, put: Callable[[ExplanationEvent], Awaitable[None]]
    ) -> None:
        camera = question.event.subject
        if self.clock() < self._rest_until_s:
            self.results[camera, "paused"] += 1
            return
        try:
            answer = await self.model.answer(prompt(), question.content, question.schema)
            self._well()
            explained = question.checked(answer, self.model.name, datetime.now(UTC))
        except UnansweredError as error:
            self.results[camera, error.result] += 1
            self._trouble(error)
        except RejectedError as error:
            # Without the answer, which may hold what was said.
            log.info(f"camera {camera}: an explanation was rejected", why=error.fault)
            self.results[camera, error.fault] += 1
        except Exception as error:  # a bug here is no reason to end the node
            # Without its text, which may hold what was said; a traceback would block.
            log.error("asking the language model failed", error=type(error).__name__)  # noqa: TRY400
            self.results[camera, "malformed"] += 1
        else:
            await put(explained)
            self.results[camera, "accepted"] += 1

    def _well(self) -> None:
        self._delays, self._told = self.delays(), ""

    def _trouble(self, error: UnansweredError) -> None:
        if error.result in _TROUBLE:
            self._rest_until_s = self.clock() + max(error.rest_s, next(self._delays))
        if error.problem != self._told:
            self._told = error.problem
            log.warning(
                f"the language model at {self.model.url} explains nothing: {error.problem};"
                " events keep their own explanations"
            )


@cache
def prompt() -> str:
    """Return what the model is told before each question."""
    return (resources.files("streamer") / "explain_prompt.txt").read_text(encoding="utf-8")
