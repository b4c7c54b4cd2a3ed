"""Utterances and sightings → windows: what is judged at once, about whom.

Speech: one utterance. Ambient: every two seconds while a face is seen and nobody speaks.
With one person in view speech is theirs; with several it is theirs whose mouth moves, when
that is clear, else nobody's: never a guess. The others get a window of their face alone. Who
was in view a moment ago may still be there, covered or turned away, and may be who speaks.
"""

import math
from collections import deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import numpy as np

from engines.manifest import Modality
from engines.window import SAMPLE_RATE_HZ, FaceWindow, VoiceWindow
from streamer import config
from streamer.event import Absence, WindowKind
from streamer.flow import (
    Epoch,
    Face,
    Listening,
    Sighting,
    Speaking,
    Unseen,
    Utterance,
    Window,
    stopped,
)
from streamer.skew import LEAST_SHARED, shared
from streamer.speakers import speaker
from streamer.tracks import FORGOTTEN_AFTER_S

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
        self._come = _Come()
        self._from_s = 0.0

    def feed(self, item: Epoch | Sighting | Unseen | Utterance | Listening) -> Iterator[Window]:
        """Take what comes next; yield the windows that are complete by it."""
        match item:
            case Epoch():
                yield from self.close()
                self._epoch = item
            case Sighting(pts_s=pts_s):
                self._sightings.append(item)
                self._come.see(pts_s)
            case Unseen(pts_s=pts_s):
                self._come.see(pts_s)
            case Utterance():
                self._utterances.append(item)
            case Listening():
                self._come.hear(item)
        yield from self._complete()

    def close(self) -> Iterator[Window]:
        """The media ends here: yield what is left."""
        if self._epoch is None:
            return
        while self._utterances:
            yield from self._speech(self._utterances.popleft())
        if self._sightings:
            end_s = math.nextafter(max(self._sightings[-1].pts_s, self._come.heard_s), math.inf)
            yield from self._ambient_until(end_s)
            # A recording shorter than any window still gets its one verdict.
            least_s = self._settings.ambient_shortest_s if self._from_s else 0.0
            if end_s - self._from_s >= least_s:
                yield from self._about("ambient", self._from_s, end_s, None)
        self._sightings.clear()
        self._come, self._from_s = _Come(), 0.0

    def _complete(self) -> Iterator[Window]:
        assert self._epoch is not None, "media begin with an epoch"
        video, come = self._epoch.has_video, self._come
        seen_s = come.seen_s if video and not come.blind else math.inf
        while self._utterances and self._utterances[0].end_s <= seen_s:
            yield from self._speech(self._utterances.popleft())
        if video and not self._utterances:
            quiet_s = come.settled_s if self._epoch.has_audio and not come.deaf else math.inf
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
        """One window for each person in view, and one for a voice that is nobody's."""
        assert self._epoch is not None
        pictures = [s for s in self._sightings if start_s <= s.pts_s < end_s]
        faces = {t: _of(seen, start_s, end_s) for t, seen in _people(pictures).items()}
        around = faces.keys() | self._around(start_s, end_s)
        skew_s = self._come.skew_s if voice is not None else None
        apart = shared(skew_s, end_s - start_s) < LEAST_SHARED
        asked = voice is not None and not apart
        whose = _speaker(faces, around, len(pictures)) if asked else None
        several = len(around) > 1
        why: Absence = "several_people" if several else "out_of_step" if faces else "no_face"
        if voice is not None and whose is None:
            absent: dict[Modality, Absence] = {"face": why}
            yield Window(self._epoch, kind, start_s, end_s, None, None, voice, absent, skew_s)
        for track, face in faces.items():
            theirs = voice if track == whose else None
            absent = {}
            if theirs is None:
                absent["voice"] = why if voice is not None else "no_voice"
            yield Window(self._epoch, kind, start_s, end_s, track, face, theirs, absent, skew_s)

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


@dataclass(slots=True)
class _Come:
    """How far the pictures and the sound of an epoch have come, in order of time."""

    seen_s: float = 0.0
    heard_s: float = 0.0
    settled_s: float = 0.0
    skew_s: float | None = None
    _unseen_since_s: float = 0.0
    _unheard_since_s: float = 0.0

    def see(self, pts_s: float) -> None:
        self.seen_s = max(self.seen_s, pts_s)
        self._unseen_since_s = self.heard_s

    def hear(self, sound: Listening) -> None:
        self.heard_s, self.settled_s = sound.heard_s, sound.settled_s
        if sound.skew_s is not None:  # what was known holds on when one of them stops
            self.skew_s = sound.skew_s
        self._unheard_since_s = self.seen_s

    @property
    def blind(self) -> bool:
        """Whether pictures have stopped."""
        return stopped(self.seen_s, self.heard_s, self._unseen_since_s)

    @property
    def deaf(self) -> bool:
        """Whether sound has stopped."""
        return stopped(self.heard_s, self.seen_s, self._unheard_since_s)


def _people(pictures: list[Sighting]) -> dict[int, list[Face]]:
    """Return the faces of everyone in view in these pictures, by track."""
    people: dict[int, list[Face]] = {}
    for picture in pictures:
        for face in picture.faces:
            people.setdefault(face.track, []).append(face)
    least = _LEAST_SEEN * len(pictures)
    return {track: faces for track, faces in sorted(people.items()) if len(faces) >= least}


def _speaker(faces: dict[int, FaceWindow], around: set[int], pictures: int) -> int | None:
    """Return whose voice it is, of those in view in so many pictures and of all around."""
    if not faces or len(faces) < len(around):
        return None
    if len(faces) == 1:
        return next(iter(faces))
    if any(len(face.crops) < pictures for face in faces.values()):
        return None  # who was covered for a moment may have spoken then
    return speaker(faces)


def _of(faces: list[Face], start_s: float, end_s: float) -> FaceWindow:
    turns = [face.turn for face in faces if face.turn is not None]
    mouths = [face.mouth for face in faces if face.mouth is not None]
    return FaceWindow(
        start_s,
        end_s,
        np.stack([face.crop for face in faces]),
        np.array([face.box_px[2] for face in faces], np.float32),
        np.array(turns, np.float32) if len(turns) == len(faces) else None,
        np.array(mouths, np.float32) if len(mouths) == len(faces) else None,
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
