"""Who is who from one picture to the next: faces followed by where they are and go."""

from dataclasses import dataclass, replace
from itertools import product
from math import hypot, inf, sqrt

from streamer.flow import Face

FORGOTTEN_AFTER_S = 2.0
"""A person out of sight for longer comes back as somebody new."""

_FARTHEST = 1.5
"""Sizes of a face to where it was, or was going; people side by side are farther apart."""

_LARGEST_CHANGE = 2.0
"""Of a face's size; who is twice as large stands elsewhere."""

Box = tuple[float, float, float, float]


@dataclass(slots=True)
class _Track:
    number: int
    box: Box
    seen_s: float
    speed_px_s: tuple[float, float] = (0.0, 0.0)

    def distance(self, box: Box, pts_s: float) -> float:
        """Sizes of the face between a box and where this person may be by now."""
        before, now, away_s = _size(self.box), _size(box), pts_s - self.seen_s
        if max(before, now) > _LARGEST_CHANGE * min(before, now):
            return inf
        x, y = _moved(self.box, box)
        stayed = hypot(x, y)
        walked = hypot(x - self.speed_px_s[0] * away_s, y - self.speed_px_s[1] * away_s)
        return min(stayed, walked) / ((before + now) / 2)

    def see(self, box: Box, pts_s: float) -> None:
        """Follow this person to a box."""
        if pts_s > self.seen_s:
            x, y = _moved(self.box, box)
            self.speed_px_s = x / (pts_s - self.seen_s), y / (pts_s - self.seen_s)
        self.box, self.seen_s = box, pts_s


class Tracker:
    """Gives each face the number of the person it belongs to, counting from 1."""

    def __init__(self) -> None:
        self._tracks: list[_Track] = []
        self._count = 0

    def follow(self, pts_s: float, faces: list[Face]) -> tuple[Face, ...]:
        """Return the faces of the next picture with their tracks, in track order."""
        self._tracks = [t for t in self._tracks if pts_s - t.seen_s <= FORGOTTEN_AFTER_S]
        free = list(self._tracks)
        pairs = sorted(
            product(range(len(faces)), free),
            key=lambda pair: pair[1].distance(faces[pair[0]].box_px, pts_s),
        )
        whose: dict[int, _Track] = {}
        for index, track in pairs:
            near = track.distance(faces[index].box_px, pts_s) <= _FARTHEST
            if near and index not in whose and track in free:
                whose[index] = track
                free.remove(track)
        followed = [self._seen(whose.get(index), face, pts_s) for index, face in enumerate(faces)]
        return tuple(sorted(followed, key=lambda face: face.track))

    def _seen(self, track: _Track | None, face: Face, pts_s: float) -> Face:
        if track is None:
            self._count += 1
            track = _Track(self._count, face.box_px, pts_s)
            self._tracks.append(track)
        track.see(face.box_px, pts_s)
        return replace(face, track=track.number)


def _moved(a: Box, b: Box) -> tuple[float, float]:
    """Return how far the centre of a box has come, in pixels."""
    return b[0] - a[0] + (b[2] - a[2]) / 2, b[1] - a[1] + (b[3] - a[3]) / 2


def _size(box: Box) -> float:
    return sqrt(box[2] * box[3])
