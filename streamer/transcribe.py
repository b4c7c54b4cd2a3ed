"""Windows of speech → words that will come: Whisper on its own thread, with a bounded queue."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import structlog

from engines.window import VoiceWindow
from streamer import models
from streamer.config import WHISPER_SIZES, Config
from streamer.event import Transcript
from streamer.flow import Epoch, Listening, Said, Sighting, Speaking, Unseen, Utterance, Window
from streamer.whisper import Whisper
from streamer.worker import Worker

log = structlog.get_logger()

_COMPLAIN_EVERY_S = 60.0


Heard = Epoch | Sighting | Unseen | Utterance | Listening | Speaking
Tell = Callable[[Epoch, Speaking, Transcript], None]
"""Takes words that are known before their utterance has ended. Must not wait."""


class Listener(Protocol):
    """Writes down what is said. `hear` blocks."""

    hash: str

    def hear(self, voice: VoiceWindow, *, draft: bool = False) -> Said:
        """Return what is said, or why that is not known; of a ``draft`` the text alone counts."""


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    voice: VoiceWindow
    said: "asyncio.Future[Said]"


@dataclass(slots=True)
class Transcriber:
    """Asks a listener about one window after the other, for all cameras of this process."""

    listener: Listener
    patience_s: float | None = None
    """Words that take longer are `late`; None waits for all, as a replay does."""
    limit: int = 8
    """Windows that may wait. One more, and the oldest is `late`; without patience never."""
    drafts: bool = False
    """Whether utterances that go on are to be heard. The listener then has two callers."""
    dropped: int = field(default=0, init=False)
    """Drafts that were not made, as something else was being heard."""
    late: int = field(default=0, init=False)
    """Windows that went without their words."""
    _asked: deque[_Asked] = field(default_factory=deque, init=False)
    _worker: Worker = field(init=False)
    _drafter: Worker | None = field(default=None, init=False)
    _drafting: "asyncio.Task[None] | None" = field(default=None, init=False)
    _working: "asyncio.Task[None] | None" = field(default=None, init=False)
    _complained_s: float = field(default=float("-inf"), init=False)

    def __post_init__(self) -> None:
        self._worker = Worker("whisper")
        if self.drafts:
            self._drafter = Worker("whisper drafts")

    @property
    def hash(self) -> str:
        """The hash of the model."""
        return self.listener.hash

    @property
    def waiting(self) -> int:
        """Windows that wait for their turn."""
        return len(self._asked)

    def hear(self, voice: VoiceWindow) -> "asyncio.Future[Said]":
        """Ask what is said. Returns at once; cancel what is no longer wanted."""
        loop = asyncio.get_running_loop()
        asked = _Asked(voice, loop.create_future())
        self._asked.append(asked)
        if self.patience_s is not None:
            timer = loop.call_later(self.patience_s, self._give_up, asked)
            asked.said.add_done_callback(lambda _: timer.cancel())
            while len(self._asked) > self.limit:
                self._give_up(self._asked[0])
        if self._working is None or self._working.done():
            self._working = loop.create_task(self._work(), name="whisper")
        return asked.said

    def draft(self, voice: VoiceWindow) -> "asyncio.Future[Said] | None":
        """Ask what has been said so far; None while anything else is being heard.

        On a thread of its own, so that no window ever waits for a draft to end.
        """
        if self._drafter is None or _busy(self._working) or _busy(self._drafting):
            self.dropped += 1
            return None
        loop = asyncio.get_running_loop()
        asked = _Asked(voice, loop.create_future())
        self._drafting = loop.create_task(self._draft(asked, self._drafter), name="whisper draft")
        return asked.said

    def close(self) -> None:
        """Ask nothing more, and let the threads end."""
        if self.dropped:
            log.info("partial transcripts were left out, Whisper was busy", count=self.dropped)
        self._asked.clear()
        if self._drafting:
            self._drafting.cancel()
        if self._drafter:
            self._drafter.close()
        if self._working:
            self._working.cancel()
        self._worker.close()

    async def _work(self) -> None:
        while self._asked:
            asked = self._asked.popleft()
            if asked.said.done():
                continue
            _settle(asked, await self._hear(self._worker, asked.voice))

    async def _draft(self, asked: _Asked, drafter: Worker) -> None:
        _settle(asked, await self._hear(drafter, asked.voice, draft=True))

    async def _hear(self, worker: Worker, voice: VoiceWindow, *, draft: bool = False) -> Said:
        try:
            return await worker.run(self.listener.hear, voice, draft=draft)
        except Exception as error:  # what a library raises must not end a camera
            # Without its text, which might hold words.
            log.error("speech could not be transcribed", error=type(error).__name__)  # noqa: TRY400
            return "no_transcriber"

    def _give_up(self, asked: _Asked) -> None:
        if asked in self._asked:
            self._asked.remove(asked)
        if asked.said.done():
            return
        asked.said.set_result("late")
        self.late += 1
        now_s = asyncio.get_running_loop().time()
        if now_s - self._complained_s >= _COMPLAIN_EVERY_S:
            self._complained_s = now_s
            log.warning(
                "transcripts come too late and are left out; take a smaller Whisper", late=self.late
            )


def _busy(task: "asyncio.Task[None] | None") -> bool:
    return task is not None and not task.done()


def _settle(asked: _Asked, said: Said) -> None:
    if not asked.said.done():
        asked.said.set_result(said)


async def tell_partials(
    heard: AsyncIterator[Heard], transcriber: Transcriber, tell: Tell
) -> AsyncIterator[Heard]:
    """Have what is being said written down where Whisper has nothing else to do; all passes.

    Nothing is told of an utterance any more once it has ended.
    """
    epoch: Epoch | None = None
    draft: asyncio.Future[Said] | None = None
    try:
        async for item in heard:
            if draft and isinstance(item, Epoch | Utterance):
                draft.cancel()
            if isinstance(item, Epoch):
                epoch = item
            elif isinstance(item, Speaking) and epoch:
                draft = transcriber.draft(item.voice)
                _tell_later(draft, tell, epoch, item)
            yield item
    finally:
        if draft:
            draft.cancel()


def _tell_later(
    draft: "asyncio.Future[Said] | None", tell: Tell, epoch: Epoch, item: Speaking
) -> None:
    def done(said: "asyncio.Future[Said]") -> None:
        if not said.cancelled() and isinstance(words := said.result(), Transcript):
            tell(epoch, item, words)

    if draft:
        draft.add_done_callback(done)


async def ask_words(
    windows: AsyncIterator[Window], transcriber: Transcriber
) -> AsyncIterator[Window]:
    """Have every window in which somebody speaks written down; wait for nothing."""
    async for window in windows:
        if window.voice is None or "text" in window.absent:
            yield window
        else:
            yield replace(window, said=transcriber.hear(window.voice))


def open_transcriber(settings: Config, *, live: bool) -> Transcriber | None:
    """Load the model that is configured; None without one, said once where one is missed.

    Raises a WhisperModelError for a folder that cannot be used.
    """
    given = settings.transcript
    wanted = given.publish or settings.engines.text != "none"
    folder = _folder(given.model, wanted=wanted)
    if folder is None:
        return None
    drafts = live and given.publish and given.partials
    whisper = Whisper(
        folder, language=given.language, threads=given.threads, callers=2 if drafts else 1
    )
    return Transcriber(whisper, given.patience_s if live else None, drafts=drafts)


def _folder(model: str, *, wanted: bool) -> Path | None:
    sizes: tuple[str, ...]
    match model:
        case "none":
            return None
        case "auto":
            sizes = WHISPER_SIZES if wanted else ()
        case size if size in WHISPER_SIZES:
            sizes = (size,)
        case path:
            return Path(path)
    for size in reversed(sizes):
        if (folder := models.folder() / f"whisper-{size}").is_dir():
            return folder
    if sizes:
        log.warning(
            "speech is not transcribed, as there is no Whisper model; "
            f"get one with: credence models fetch whisper-{sizes[0]}"
        )
    return None
