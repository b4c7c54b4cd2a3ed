"""Which windows media become: who is in them, and that nothing is judged twice."""

from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.window import FACE_PX
from streamer.config import Windows
from streamer.flow import Epoch, Face, Listening, Sighting, Unseen, Utterance, Window
from streamer.windows import Windower

EPOCH = Epoch("e-0", datetime(2026, 1, 1, tzinfo=UTC), has_video=True, has_audio=True)
SILENT = Epoch("e-0", EPOCH.began, has_video=True, has_audio=False)
BLIND = Epoch("e-0", EPOCH.began, has_video=False, has_audio=True)

Item = Epoch | Sighting | Unseen | Utterance | Listening


def sighting(pts_s: float, *tracks: int) -> Sighting:
    crop = np.zeros((FACE_PX, FACE_PX), np.uint8)
    return Sighting(pts_s, tuple(Face((0, 0, 50, 50), 0.9, crop, track) for track in tracks))


def utterance(start_s: float, end_s: float) -> Utterance:
    return Utterance(start_s, end_s, np.zeros(round((end_s - start_s) * 16_000), np.float32))


def watch(until_s: float, *tracks: int, from_s: float = 0.0) -> list[Sighting]:
    steps = np.arange(round(from_s / 0.4), round(until_s / 0.4))
    return [sighting(float(step) * 0.4, *tracks) for step in steps]


def live(seen: list[Sighting], *said: Utterance, heard_until_s: float) -> list[Item]:
    """Return the items in the order in which a camera's stages hand them on."""
    items: list[tuple[float, Item]] = [(s.pts_s, s) for s in seen]
    items += [(u.end_s + 0.5, u) for u in said]
    for step in range(round(heard_until_s * 10) + 1):
        at_s = step / 10
        open_s = [u.start_s for u in said if u.start_s <= at_s < u.end_s + 0.5]
        items.append((at_s, Listening(at_s, min([at_s, *open_s]))))
    return [item for _, item in sorted(items, key=lambda pair: pair[0])]


def cut(*items: Item, settings: Windows | None = None) -> list[Window]:
    windower = Windower(settings or Windows())
    return [*feed(windower, *items), *windower.close()]


def feed(windower: Windower, *items: Item) -> list[Window]:
    return [window for item in items for window in windower.feed(item)]


def spans(windows: list[Window]) -> list[tuple[str, float, float, int | None]]:
    return [(w.kind, round(w.start_s, 2), round(w.end_s, 2), w.track) for w in windows]


def test_one_person_who_speaks_gets_face_and_voice() -> None:
    windows = cut(EPOCH, *live(watch(3, 1), utterance(0.5, 2.5), heard_until_s=3))
    assert spans(windows) == [("speech", 0.5, 2.5, 1)]
    assert windows[0].face is not None
    assert windows[0].face.crops.shape == (5, FACE_PX, FACE_PX)
    assert windows[0].voice is not None
    assert not windows[0].absent


def test_nobody_in_view_who_speaks_gets_voice_alone() -> None:
    windows = cut(EPOCH, *live(watch(3), utterance(0.5, 2.5), heard_until_s=3))
    assert spans(windows) == [("speech", 0.5, 2.5, None)]
    assert windows[0].absent == {"face": "no_face"}


def test_speech_among_several_is_nobodys() -> None:
    windows = cut(EPOCH, *live(watch(3, 1, 2), utterance(0.5, 2.5), heard_until_s=3))
    assert spans(windows) == [
        ("speech", 0.5, 2.5, None),
        ("speech", 0.5, 2.5, 1),
        ("speech", 0.5, 2.5, 2),
    ]
    assert [w.absent for w in windows] == [
        {"face": "several_people"},
        {"voice": "several_people"},
        {"voice": "several_people"},
    ]


def test_a_passer_by_does_not_take_the_speech_away() -> None:
    seen = [*watch(4, 1), sighting(4.0, 1, 2), *watch(8, 1, from_s=4.4)]
    windows = cut(EPOCH, *live(seen, utterance(0.0, 7.5), heard_until_s=8))
    assert spans(windows) == [("speech", 0.0, 7.5, 1)]


@pytest.mark.parametrize(("away_s", "whose"), [(3.2, [None, 1]), (0.8, [None, 1]), (0.4, [1])])
def test_who_was_in_view_a_moment_ago_may_be_who_speaks(
    away_s: float, whose: list[int | None]
) -> None:
    seen = [*watch(away_s, 1, 2), *watch(7, 1, from_s=away_s)]
    windows = cut(EPOCH, *live(seen, utterance(away_s + 1, away_s + 2), heard_until_s=7))
    assert [w.track for w in windows if w.kind == "speech"] == whose


def test_who_left_long_ago_is_not_who_speaks() -> None:
    seen = [*watch(3, 1, 2), *watch(9, 1, from_s=3.2)]
    windows = cut(EPOCH, *live(seen, utterance(5.2, 7), heard_until_s=8))
    assert [w.track for w in windows if w.kind == "speech"] == [1]


def test_nobody_in_view_after_several_leaves_speech_to_nobody() -> None:
    seen = [*watch(2, 1, 2), *watch(5, from_s=2)]
    windows = cut(EPOCH, *live(seen, utterance(2.4, 3.4), heard_until_s=5))
    (said,) = [window for window in windows if window.kind == "speech"]
    assert (said.track, said.absent) == (None, {"face": "several_people"})


def test_a_face_while_nobody_speaks_is_ambient() -> None:
    windows = cut(EPOCH, *live(watch(6.1, 1), heard_until_s=6))
    assert spans(windows) == [
        ("ambient", 0.0, 2.0, 1),
        ("ambient", 2.0, 4.0, 1),
        ("ambient", 4.0, 6.0, 1),
    ]
    assert windows[0].absent == {"voice": "no_voice"}


def test_an_empty_room_has_no_windows() -> None:
    assert cut(EPOCH, *live(watch(10), heard_until_s=10)) == []


def test_ambient_gives_way_to_speech() -> None:
    items = live(watch(9, 1), utterance(3.2, 5.0), heard_until_s=9)
    assert spans(cut(EPOCH, *items)) == [
        ("ambient", 0.0, 2.0, 1),
        ("ambient", 2.0, 3.2, 1),
        ("speech", 3.2, 5.0, 1),
        ("ambient", 5.0, 7.0, 1),
        ("ambient", 7.0, 9.0, 1),
    ]


def test_ambient_waits_while_an_utterance_is_open() -> None:
    windower = Windower(Windows())
    early = feed(windower, EPOCH, Listening(3.0, 1.0), *watch(4.8, 1), Listening(4.9, 1.0))
    said = feed(windower, utterance(1.0, 4.4))
    assert early == []
    assert spans(said) == [("ambient", 0.0, 1.0, 1), ("speech", 1.0, 4.4, 1)]


def test_speech_waits_for_its_pictures() -> None:
    windower = Windower(Windows())
    begun: list[Item] = [EPOCH, Listening(1.0, 0.5), *watch(1, 1)]
    assert feed(windower, *begun, Listening(2.9, 0.5), utterance(0.5, 2.5)) == []
    assert spans(feed(windower, *watch(3, 1, from_s=1.2))) == [("speech", 0.5, 2.5, 1)]


def test_speech_does_not_wait_for_pictures_that_stopped() -> None:
    windower = Windower(Windows())
    items: list[Item] = [
        *watch(1.3, 1),
        Listening(3, 0.5),
        utterance(0.5, 2.5),
        Listening(4.6, 4.6),
    ]
    assert spans(feed(windower, EPOCH, *items)) == [("speech", 0.5, 2.5, 1)]


def test_ambient_does_not_wait_for_sound_that_stopped() -> None:
    windower = Windower(Windows())
    windows = feed(windower, EPOCH, Listening(0.5, 0.5), *watch(3, 1))
    assert spans(windows)[0] == ("ambient", 0.0, 2.0, 1)


def test_sound_that_is_always_far_behind_is_waited_for() -> None:
    items: list[Item] = [EPOCH]
    for step in range(60):
        pictures_s, sound_s = step * 0.4, step * 0.4 - 5
        items.append(sighting(pictures_s, 1))
        if 9 <= sound_s < 9.4:
            items.append(utterance(7, 9))
        if sound_s >= 0:
            items.append(Listening(sound_s, 7 if 7 <= sound_s < 9 else sound_s))
    windows = cut(*items)
    assert ("speech", 7.0, 9.0, 1) in spans(windows)
    assert all(a.end_s <= b.start_s for a, b in pairwise(windows))


def test_voices_are_not_held_back_once_pictures_have_stopped_and_faces_return() -> None:
    windower = Windower(Windows())
    begun: list[Item] = [EPOCH, *live(watch(2, 1), heard_until_s=2)]
    unseen = feed(windower, *begun, *(Listening(at / 10, min(at / 10, 5)) for at in range(20, 70)))
    assert spans(unseen) == [("ambient", 0.0, 2.0, 1)]
    assert spans(feed(windower, utterance(5.0, 6.9))) == [("speech", 5.0, 6.9, None)]
    again: list[Item] = [*watch(9.2, 1, from_s=7.2), Listening(9.0, 7.5), utterance(7.5, 8.5)]
    assert spans(feed(windower, *again)) == [("speech", 7.5, 8.5, 1)]


def test_without_sound_every_window_is_ambient() -> None:
    assert spans(cut(SILENT, *watch(4.1, 1)))[:1] == [("ambient", 0.0, 2.0, 1)]


def test_without_video_every_window_is_speech() -> None:
    windows = cut(BLIND, utterance(0.5, 2.5), Listening(3, 3))
    assert spans(windows) == [("speech", 0.5, 2.5, None)]
    assert windows[0].absent == {"face": "no_face"}


def test_the_shortest_recording_still_gets_a_window() -> None:
    assert spans(cut(SILENT, sighting(0.0, 1))) == [("ambient", 0.0, 0.0, 1)]


def test_a_new_epoch_starts_afresh() -> None:
    again = Epoch("e-1", EPOCH.began, has_video=True, has_audio=True)
    windows = cut(EPOCH, *live(watch(2.1, 1), heard_until_s=2.1), again, *watch(1, 1))
    assert [w.epoch.id for w in windows] == ["e-0", "e-1"]
    assert windows[1].start_s == 0.0


times = st.lists(st.floats(0.3, 3), min_size=0, max_size=8)


@given(times, times, st.booleans())
def test_windows_are_in_order_and_never_overlap(
    speech: list[float], rests: list[float], late: bool
) -> None:
    said, at = [], 0.0
    for length, rest in zip(speech, rests, strict=False):
        said.append(utterance(at + rest, at + rest + length))
        at += rest + length
    seen = [replace(s, pts_s=s.pts_s + 0.5 * late) for s in watch(at + 3, 1)]
    windows = cut(EPOCH, *live(seen, *said, heard_until_s=at + 3))
    for before, after in pairwise(windows):
        assert before.end_s <= after.start_s + 1e-9
    assert sum(w.kind == "speech" for w in windows) == len(said)
    assert sum(len(w.face.crops) for w in windows if w.face) <= len(seen)


def test_speech_that_comes_very_late_gets_what_is_left_of_its_time() -> None:
    windows = cut(EPOCH, *watch(6, 1), Listening(3, 3), utterance(3.0, 5.0), Listening(6, 6))
    assert spans(windows) == [
        ("ambient", 0.0, 2.0, 1),
        ("ambient", 2.0, 4.0, 1),
        ("speech", 4.0, 5.0, 1),
        ("ambient", 5.0, 6.0, 1),
    ]
    assert windows[2].voice is not None
    assert len(windows[2].voice.pcm) == 16_000


@pytest.mark.parametrize("every_s", [1.0, 3.0])
def test_ambient_length_is_configured(every_s: float) -> None:
    windows = cut(SILENT, *watch(7, 1), settings=Windows(ambient_every_s=every_s))
    assert windows[0].end_s == every_s


def test_faces_keep_their_size_and_turn() -> None:
    seen = [sighting(step * 0.4, 1) for step in range(6)]
    turned = [Sighting(s.pts_s, tuple(replace(f, turn=0.25) for f in s.faces)) for s in seen]
    for pictures, turn in ((seen, None), (turned, 0.25), ([*seen[:1], *turned[1:]], None)):
        (window,) = cut(SILENT, *pictures)[:1]
        assert window.face is not None
        assert window.face.sizes_px is not None
        assert (window.face.sizes_px == 50).all()
        assert len(window.face.sizes_px) == len(window.face.crops)
        found = window.face.turns
        assert (None if found is None else set(found.tolist())) == (
            None if turn is None else {turn}
        )


def test_pictures_that_are_left_out_are_not_waited_for() -> None:
    windower = Windower(Windows())
    said = utterance(1.0, 2.0)
    seen = [sighting(0.8, 1), sighting(1.2, 1)]
    assert not feed(windower, EPOCH, *seen, said, Listening(2.5, 2.5))
    assert [window.kind for window in feed(windower, Unseen(2.0))][1:] == ["speech"]


def test_where_one_medium_stops_nothing_piles_up() -> None:
    deaf, blind = Windower(Windows()), Windower(Windows())
    feed(deaf, EPOCH, *watch(600.0, 1))
    said = [utterance(start_s, start_s + 1.0) for start_s in np.arange(0.0, 600.0, 2.0)]
    feed(blind, EPOCH, *live([], *said, heard_until_s=600.0))
    assert len(deaf._sightings) < 20
    assert len(blind._utterances) < 5


@pytest.mark.parametrize(("skew_s", "together"), [(None, True), (-1.2, True), (1.8, False)])
def test_voice_and_face_of_different_times_are_judged_apart(
    skew_s: float | None, together: bool
) -> None:
    items = live(watch(3, 1), utterance(0.5, 2.5), heard_until_s=3)
    skewed = [replace(i, skew_s=skew_s) if isinstance(i, Listening) else i for i in items]
    windows = cut(EPOCH, *skewed)
    assert {w.skew_s for w in windows} == {skew_s}
    if together:
        assert spans(windows) == [("speech", 0.5, 2.5, 1)]
    else:
        assert spans(windows) == [("speech", 0.5, 2.5, None), ("speech", 0.5, 2.5, 1)]
        assert [w.absent for w in windows] == [{"face": "out_of_step"}, {"voice": "out_of_step"}]


def test_windows_without_a_voice_have_no_skew() -> None:
    windows = cut(EPOCH, Listening(0, 0, 0.5), *watch(2.2, 1), Listening(2.2, 2.2, 0.5))
    assert [w.skew_s for w in windows] == [None]
