"""Who is who from one picture to the next: faces followed by the overlap of their boxes."""

from dataclasses import dataclass, replace
from itertools import product

from streamer.flow import Face

FORGOTTEN_AFTER_S = 2.0
"""A person out of sight for longer comes back as somebody new."""

_LEAST_OVERLAP = 0.2
"""Of a box with where it was 0.4 s ago; heads move, people do not trade places."""

Box = tuple[float, float, float, float]


@dataclass(slots=True)
class _Track:
    number: int
    box: Box
    seen_s: float


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
            key=lambda pair: -_overlap(faces[pair[0]].box_px, pair[1].box),
        )
        whose: dict[int, _Track] = {}
        for index, track in pairs:
            near = _overlap(faces[index].box_px, track.box) >= _LEAST_OVERLAP
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
        track.box, track.seen_s = face.box_px, pts_s
        return replace(face, track=track.number)


def _overlap(a: Box, b: Box) -> float:
    """Intersection over union of two boxes."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)
