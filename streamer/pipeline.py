"""One camera's pipeline, wired: media in, events out. The only place where stages meet."""

from collections.abc import AsyncGenerator, AsyncIterator

from streamer.announce import Announcer, announce
from streamer.batching import Batcher
from streamer.config import Config
from streamer.ensemble import Panel
from streamer.event import EmotionEvent
from streamer.explain import explain
from streamer.faces import Finder, find_faces
from streamer.flow import Media
from streamer.fuse import fuse
from streamer.recognise import add_words, recognise
from streamer.shedding import Relief
from streamer.speech import cut_speech
from streamer.transcribe import Tell, Transcriber, ask_words, tell_partials
from streamer.windows import cut_windows
from streamer.worker import Worker


def events(
    media: AsyncIterator[Media],
    *,
    config: Config,
    finder: Finder,
    panel: Panel,
    announcer: Announcer,
    worker: Worker,
    batcher: Batcher | None = None,
    transcriber: Transcriber | None = None,
    relief: Relief | None = None,
    tell: Tell | None = None,
) -> AsyncGenerator[EmotionEvent, None]:
    """Turn one camera's media into its events, finals in window order.

    ``worker`` is the thread for face finding and engines; ``finder`` is this camera's alone, and
    ``batcher`` all cameras': for engines that gain by judging windows of several at once.
    With a ``transcriber`` a window of speech has two events, unless updates are switched off;
    ``tell`` then takes what is being said, where partial transcripts are wanted.
    With ``relief`` a live camera leaves out what the machine is too slow for.
    """
    faces = find_faces(media, finder, worker)
    speech = cut_speech(faces, config.vad, config.windows.longest_s)
    if transcriber and transcriber.drafts and tell:
        speech = tell_partials(speech, transcriber, tell)
    windows = cut_windows(speech, config.windows)
    if relief:
        windows = relief.windows(windows, words=transcriber is not None)
    if transcriber:
        windows = ask_words(windows, transcriber)
    recognised = recognise(windows, panel, worker, batcher)
    if transcriber:
        updates, in_step = config.transcript.updates, transcriber.patience_s is None
        recognised = add_words(recognised, panel, worker, batcher, updates=updates, in_step=in_step)
    judged = fuse(recognised)
    return announce(explain(judged, worker, words=config.transcript.publish), announcer)
