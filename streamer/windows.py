"""Utterances and sightings → windows: what is judged at once, about whom.

Speech: one utterance. Ambient: every two seconds while a face is seen and nobody speaks.
With one person in view speech is theirs; with several it is nobody's, and each gets a
window of their face alone: never a guess. Who was in view a moment ago may still be there,
covered or turned away, and may be who speaks.
"""

import math
from collections import deque
from collections.abc import AsyncIterator, Iterator

import numpy as np

from engines.manifest import Modality
from engines.window import SAMPLE_RATE_HZ, FaceWindow, VoiceWindow
from streamer import config
from streamer.event import Absence, WindowKind
from streamer.flow import Epoch, Face, Listening, Sighting, Speaking, Unseen, Utterance, Window
from streamer.tracks import FORGOTTEN_AFTER_S

_LAG_S = 2.0
"""When one medium is this far behind the other, it is not waited for."""

_LEAST_SEEN = 0.25
"""A person counts as in view when seen in this share of a window's pictures."""

_REMEMBERED_S = 2 * FORGOTTEN_AFTER_S

_MET = 2
"""Who was seen in so many pictures is there; a face seen once may be none."""


class Windower:
    """Cuts one camera's media into windows, in order of time."""

    def __init__(self, settings: config.Windows) -> None:
        self._settings = settings
        self._epoch: Epoch | None = None
        self._sightings: deque[Sighting] = deque()
        self._utterances: deque[Utterance] = deque()
        self._seen_s = self._heard_s = self._settled_s = self._from_s = 0.0

    def feed(self, item: Epoch | Sighting | Unseen | Utterance | Listening) -> Iterator[Window]:
        """Take what comes next; yield the windows that are complete by it."""
        match item:
            case Epoch():
                yield from self.close()
                self._epoch = item
            case Sighting(pts_s=pts_s):
                self._sightings.append(item)
                self._seen_s = max(self._seen_s, pts_s)
            case Unseen(pts_s=pts_s):
                self._seen_s = max(self._seen_s, pts_s)
            case Utterance():
                self._utterances.append(item)
            case Listening(heard_s=heard_s, settled_s=settled_s):
                self._heard_s, self._settled_s = heard_s, settled_s
        yield from self._complete()

    def close(self) -> Iterator[Window]:
        """The media ends here: yield what is left."""
        if self._epoch is None:
            return
        while self._utterances:
            yield from self._speech(self._utterances.popleft())
        if self._sightings:
            end_s = math.nextafter(max(self._sightings[-1].pts_s, self._heard_s), math.inf)
            yield from self._ambient_until(end_s)
            # A recording shorter than any window still gets its one verdict.
            least_s = self._settings.ambient_shortest_s if self._from_s else 0.0
            if end_s - self._from_s >= least_s:
                yield from self._about("ambient", self._from_s, end_s, None)
        self._sightings.clear()
        self._seen_s = self._heard_s = self._settled_s = self._from_s = 0.0

    def _complete(self) -> Iterator[Window]:
        assert self._epoch is not None, "media begin with an epoch"
        video, audio = self._epoch.has_video, self._epoch.has_audio
        seen_s = max(self._seen_s, self._heard_s - _LAG_S) if video else math.inf
        while self._utterances and self._utterances[0].end_s <= seen_s:
            yield from self._speech(self._utterances.popleft())
        if video and not self._utterances:
            late = self._seen_s - self._heard_s > _LAG_S
            quiet_s = self._settled_s if audio and not late else math.inf
            yield from self._ambient_until(min(seen_s, quiet_s))

    def _speech(self, said: Utterance) -> Iterator[Window]:
        if said.end_s <= self._from_s:
            return  # it came so late that all of its time was judged without it
        said = _since(said, self._from_s)
        yield from self._ambient_until(said.start_s)
        if said.start_s - self._from_s >= self._settings.ambient_shortest_s:
            yield from self._about("ambient", self._from_s, said.start_s, None)
        self._forget(said.start_s)
        voice = VoiceWindow(said.start_s, said.pcm)
        yield from self._about("speech", said.start_s, said.end_s, voice)
        self._forget(said.end_s)

    def _ambient_until(self, limit_s: float) -> Iterator[Window]:
        while self._from_s + self._settings.ambient_every_s <= limit_s:
            end_s = self._from_s + self._settings.ambient_every_s
            yield from self._about("ambient", self._from_s, end_s, None)
            self._forget(end_s)

    def _forget(self, until_s: float) -> None:
        self._from_s = max(self._from_s, until_s)
        while self._sightings and self._sightings[0].pts_s < self._from_s - _REMEMBERED_S:
            self._sightings.popleft()

    def _about(
        self, kind: WindowKind, start_s: float, end_s: float, voice: VoiceWindow | None
    ) -> Iterator[Window]:
        """One window for the voice, if any, and one for each person in view without it."""
        assert self._epoch is not None
        people = self._people(start_s, end_s)
        several = len(people.keys() | self._around(start_s, end_s)) > 1
        alone = len(people) == 1 and not several
        if voice is not None and not alone:
            why: Absence = "several_people" if several else "no_face"
            yield Window(self._epoch, kind, start_s, end_s, None, None, voice, {"face": why})
        for track, faces in people.items():
            theirs = voice if alone else None
            face = _of(faces, start_s, end_s)
            absent: dict[Modality, Absence] = {}
            if theirs is None:
                absent["voice"] = "several_people" if voice is not None else "no_voice"
            yield Window(self._epoch, kind, start_s, end_s, track, face, theirs, absent)

    def _people(self, start_s: float, end_s: float) -> dict[int, list[Face]]:
        """Return the faces of everyone in view between two times, by track."""
        pictures = [s for s in self._sightings if start_s <= s.pts_s < end_s]
        people: dict[int, list[Face]] = {}
        for picture in pictures:
            for face in picture.faces:
                people.setdefault(face.track, []).append(face)
        least = _LEAST_SEEN * len(pictures)
        return {track: faces for track, faces in sorted(people.items()) if len(faces) >= least}

    def _around(self, start_s: float, end_s: float) -> set[int]:
        """Return everyone who may be near between two times, seen or not, by track."""
        seen_s: dict[int, list[float]] = {}
        for picture in self._sightings:
            for face in picture.faces if picture.pts_s < end_s else ():
                seen_s.setdefault(face.track, []).append(picture.pts_s)
        return {
            track
            for track, times_s in seen_s.items()
            if len(times_s) >= _MET and times_s[-1] >= start_s - FORGOTTEN_AFTER_S
        }


def _of(faces: list[Face], start_s: float, end_s: float) -> FaceWindow:
    turns = [face.turn for face in faces if face.turn is not None]
    return FaceWindow(
        start_s,
        end_s,
        np.stack([face.crop for face in faces]),
        np.array([face.box_px[2] for face in faces], np.float32),
        np.array(turns, np.float32) if len(turns) == len(faces) else None,
    )


def _since(said: Utterance, from_s: float) -> Utterance:
    """Return the part of an utterance that begins no earlier than a time."""
    if said.start_s >= from_s:
        return said
    skipped = round((from_s - said.start_s) * SAMPLE_RATE_HZ)
    return Utterance(from_s, said.end_s, said.pcm[skipped:])


async def cut_windows(
    items: AsyncIterator[Epoch | Sighting | Unseen | Utterance | Listening | Speaking],
    settings: config.Windows,
) -> AsyncIterator[Window]:
    """Yield each window as soon as its media is complete, in order of time."""
    windower = Windower(settings)
    async for item in items:
        if not isinstance(item, Speaking):  # only what has ended is judged
            for window in windower.feed(item):
                yield window
    for window in windower.close():
        yield window
