import numpy as np

from streamer.flow import Face
from streamer.tracks import FORGOTTEN_AFTER_S, Tracker

CROP = np.zeros((48, 48), np.uint8)


def face(x: float, y: float = 0.0, size: float = 50.0) -> Face:
    return Face((x, y, size, size), 0.9, CROP)


def tracks(tracker: Tracker, pts_s: float, *faces: Face) -> list[tuple[int, float]]:
    return [(f.track, f.box_px[0]) for f in tracker.follow(pts_s, list(faces))]


def test_follow_keeps_people_apart_whatever_their_order() -> None:
    tracker = Tracker()
    assert tracks(tracker, 0.0, face(0), face(200)) == [(1, 0), (2, 200)]
    assert tracks(tracker, 0.4, face(190), face(10)) == [(1, 10), (2, 190)]


def test_follow_knows_who_comes_back_soon() -> None:
    tracker = Tracker()
    tracks(tracker, 0.0, face(0))
    tracks(tracker, 0.4)
    assert tracks(tracker, 1.4, face(8)) == [(1, 8)]


def test_follow_takes_who_comes_back_late_for_somebody_new() -> None:
    tracker = Tracker()
    tracks(tracker, 0.0, face(0))
    assert tracks(tracker, FORGOTTEN_AFTER_S + 0.1, face(0)) == [(2, 0)]


def test_follow_takes_a_jump_for_somebody_new() -> None:
    tracker = Tracker()
    tracks(tracker, 0.0, face(0))
    assert tracks(tracker, 0.4, face(120)) == [(2, 120)]


def test_follow_gives_a_track_to_one_face_only() -> None:
    tracker = Tracker()
    tracks(tracker, 0.0, face(0))
    assert tracks(tracker, 0.4, face(20), face(2)) == [(1, 2), (2, 20)]


def test_follow_of_nobody_is_nobody() -> None:
    assert Tracker().follow(0.0, []) == ()


def test_follow_keeps_who_walks_and_who_is_covered_meanwhile() -> None:
    tracker = Tracker()
    for step in range(4):
        assert tracks(tracker, 0.4 * step, face(60.0 * step))[0][0] == 1
    assert tracks(tracker, 2.4, face(370)) == [(1, 370)]


def test_follow_keeps_who_stops_while_covered() -> None:
    tracker = Tracker()
    for step in range(4):
        tracks(tracker, 0.4 * step, face(60.0 * step))
    assert tracks(tracker, 2.8, face(190)) == [(1, 190)]


def test_follow_takes_a_face_of_another_size_for_somebody_else() -> None:
    tracker = Tracker()
    tracks(tracker, 0.0, face(0, size=100))
    assert tracks(tracker, 0.4, face(30, size=40)) == [(2, 30)]
