"""One camera's pipeline, wired: media in, events out. The only place where stages meet."""

from collections.abc import AsyncGenerator, AsyncIterator

from streamer.announce import Announcer, announce
from streamer.config import Config
from streamer.event import EmotionEvent
from streamer.faces import Finder, find_faces
from streamer.flow import Media
from streamer.fuse import fuse
from streamer.recognise import Ensemble, recognise
from streamer.speech import cut_speech
from streamer.windows import cut_windows
from streamer.worker import Worker


def events(
    media: AsyncIterator[Media],
    *,
    config: Config,
    finder: Finder,
    ensemble: Ensemble,
    announcer: Announcer,
    worker: Worker,
) -> AsyncGenerator[EmotionEvent, None]:
    """Turn one camera's media into its events, in window order.

    ``worker`` is the thread for face finding and engines; ``finder`` is this camera's alone.
    """
    faces = find_faces(media, finder, worker)
    speech = cut_speech(faces, config.vad, config.windows.longest_s)
    windows = cut_windows(speech, config.windows)
    recognised = recognise(windows, ensemble, worker)
    judged = fuse(recognised, ensemble.policy)
    return announce(judged, announcer)
