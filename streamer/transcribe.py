"""Windows of speech → words that will come: Whisper on its own thread, with a bounded queue."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import structlog

from engines.window import VoiceWindow
from streamer import models
from streamer.config import WHISPER_SIZES, Config
from streamer.flow import Said, Window
from streamer.whisper import Whisper
from streamer.worker import Worker

log = structlog.get_logger()

_COMPLAIN_EVERY_S = 60.0


class Listener(Protocol):
    """Writes down what is said. `hear` blocks; one thread at a time calls it."""

    hash: str

    def hear(self, voice: VoiceWindow) -> Said:
        """Return what is said, or why that is not known."""


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
    late: int = field(default=0, init=False)
    """Windows that went without their words."""
    _asked: deque[_Asked] = field(default_factory=deque, init=False)
    _worker: Worker = field(init=False)
    _working: "asyncio.Task[None] | None" = field(default=None, init=False)
    _complained_s: float = field(default=float("-inf"), init=False)

    def __post_init__(self) -> None:
        self._worker = Worker("whisper")

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

    def close(self) -> None:
        """Ask nothing more, and let the thread end."""
        self._asked.clear()
        if self._working:
            self._working.cancel()
        self._worker.close()

    async def _work(self) -> None:
        while self._asked:
            asked = self._asked.popleft()
            if asked.said.done():
                continue
            said = await self._hear(asked.voice)
            if not asked.said.done():
                asked.said.set_result(said)

    async def _hear(self, voice: VoiceWindow) -> Said:
        try:
            return await self._worker.run(self.listener.hear, voice)
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


async def ask_words(
    windows: AsyncIterator[Window], transcriber: Transcriber
) -> AsyncIterator[Window]:
    """Have every window in which somebody speaks written down; wait for nothing."""
    async for window in windows:
        if window.voice is None:
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
    whisper = Whisper(folder, language=given.language, threads=given.threads)
    return Transcriber(whisper, given.patience_s if live else None)


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
