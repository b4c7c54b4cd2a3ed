"""What all cameras of a process share, and one stream's way through it."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass

import structlog

from streamer.announce import Announcer
from streamer.batching import Batcher
from streamer.config import Config
from streamer.ensemble import Panel, open_ensemble
from streamer.faces import Finder
from streamer.flow import Media
from streamer.pipeline import events
from streamer.shedding import Relief
from streamer.sinks.fanout import Sinks
from streamer.transcribe import Transcriber, open_transcriber
from streamer.whisper import WhisperModelError
from streamer.worker import Worker

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Judging:
    """Engines, opened once, and the settings by which they are used."""

    config: Config
    panel: Panel
    transcriber: Transcriber | None
    lacks: str = ""
    """What all cameras go without although it is configured, for people."""
    batcher: Batcher | None = None
    """Live alone: a replay gives each window a batch of its own, so as to say the same again."""

    def announcer(self, camera: str, first: int = 0) -> Announcer:
        """Return what numbers the events of a camera from ``first`` on, while the process lives."""
        return Announcer(
            self.config.node,
            camera,
            self.transcriber.hash if self.transcriber else None,
            self.config.transcript.publish,
            first=first,
        )

    def close(self) -> None:
        """Ask for no more words, and nothing more of the device."""
        if self.transcriber:
            self.transcriber.close()
        if self.batcher:
            self.batcher.close()

    async def publish(
        self,
        media: AsyncIterator[Media],
        finder: Finder,
        announcer: Announcer,
        worker: Worker,
        sinks: Sinks,
        relief: Relief | None = None,
    ) -> int:
        """Judge a stream to its end and put every event; return how many there were."""
        count = 0
        stream = events(
            media,
            config=self.config,
            finder=finder,
            panel=self.panel,
            announcer=announcer,
            worker=worker,
            batcher=self.batcher,
            transcriber=self.transcriber,
            relief=relief,
            tell=(lambda *said: sinks.partial(announcer.partial(*said))) if sinks.mqtt else None,
        )
        async with aclosing(stream):
            async for event in stream:
                count += 1
                await sinks.put(event)
        return count


def open_judging(config: Config, *, live: bool) -> Judging:
    """Open the engines; raise a CredenceError that says what is wrong with them.

    Live cameras go on without a Whisper that cannot be used: voice and face do not need it.
    """
    ensemble = open_ensemble(config.engines, multilabel=config.recognition.multilabel)
    panel = Panel(ensemble, config.engines.device)
    batcher = Batcher(config.engines.batch_within_s) if live else None
    try:
        transcriber = open_transcriber(config, live=live)
        panel.hears_words = transcriber is not None
        return Judging(config, panel, transcriber, batcher=batcher)
    except WhisperModelError as error:
        if not live:
            raise
        # Without the path: this is published, too.
        lacks = f"speech is not transcribed, {error.path.name} is no Whisper model that can be used"
        log.warning(f"speech is not transcribed, {error}")
        panel.hears_words = False
        return Judging(config, panel, None, f"{lacks} ({error.problem})", batcher)
