"""Several people before one camera: who is who, and that nobody is given another's words."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from benchmarks.films import write_film
from benchmarks.speakers import side_by_side
from benchmarks.takes import Take, read_take
from streamer.config import Config, Engines, Faces
from streamer.event import EmotionData, EmotionEvent
from streamer.explanation import ExplanationEvent
from streamer.faces import find_faces, open_finder
from streamer.flow import Media, Sighting
from streamer.replay import open_replay
from streamer.source import Recording
from streamer.worker import Worker
from tests.media import CLIPS, YUNET
from tests.people import SCENE_PX, Someone, at, walk, write_scene

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(not CLIPS.is_dir(), reason=f"no clips at {CLIPS}; set CREDENCE_DATA"),
    pytest.mark.skipif(not YUNET.is_file(), reason=f"no YuNet model at {YUNET}"),
]

LEFT, RIGHT = 40, 560
FACES = Faces(model=str(YUNET))
SPEAKER = CLIPS / "obama_20s.mp4"
PAIRS = [
    ("obama_20s.mp4", "bbaf2n.mpg"),
    ("lwbsza.mpg", "sample_00001073.mp4"),
    ("sample_00003358.mp4", "lbax4n.mpg"),
    ("sample_00000694.mp4", "brbk7n.mpg"),
]


class Events:
    def __init__(self) -> None:
        self.data: list[EmotionData] = []

    def put(self, event: EmotionEvent | ExplanationEvent) -> None:
        assert isinstance(event, EmotionEvent)
        self.data.append(event.data)


def judged(scene: Path) -> list[EmotionData]:
    """Return what the real pipeline says of a scene."""
    config = Config(faces=FACES, engines=Engines(text="none"))
    events = Events()
    assert asyncio.run(open_replay(config).run([scene], events)) == []
    return events.data


def seen(scene: Path) -> list[Sighting]:
    """Return who is found in each picture."""
    finder, worker = open_finder(FACES), Worker("faces")

    async def media() -> AsyncIterator[Media]:
        for item in Recording(scene, 0.4, finder.small_px).read(threading.Event()):
            yield item

    async def found() -> list[Sighting]:
        items = [item async for item in find_faces(media(), finder, worker)]
        return [item for item in items if isinstance(item, Sighting)]

    sightings = asyncio.run(found())
    worker.close()
    return sightings


def sides(sightings: list[Sighting], *, middle_px: float = SCENE_PX[0] / 2) -> list[set[int]]:
    """Return the tracks on the left and on the right of a picture."""
    found: list[set[int]] = [set(), set()]
    for face in (face for sighting in sightings for face in sighting.faces):
        found[face.box_px[0] > middle_px].add(face.track)
    return found


def speech(events: list[EmotionData], voiced: bool = True) -> list[EmotionData]:
    return [
        event
        for event in events
        if event.window.kind == "speech" and event.opinions["voice"].present is voiced
    ]


def is_of(track: int, event: EmotionData) -> bool:
    return event.person is not None and event.person.track == track


def is_nobodys(event: EmotionData) -> bool:
    return event.person is None and not event.opinions["face"].present


@pytest.mark.parametrize(("left", "right"), PAIRS)
def test_ids_survive_a_second_of_occlusion(left: str, right: str, tmp_path: Path) -> None:
    scene = write_scene(
        tmp_path / "scene.mp4",
        6.0,
        Someone(CLIPS / left, at(LEFT), says_s=[(1.0, 5.0)]),
        Someone(CLIPS / right, at(RIGHT), covered_s=(2.6, 3.6)),
    )
    sightings = seen(scene)
    hidden = [len(sighting.faces) for sighting in sightings if 2.7 < sighting.pts_s < 3.6]
    assert hidden
    assert max(hidden) == 1
    assert sides(sightings) in ([{1}, {2}], [{2}, {1}])
    events = judged(scene)
    assert {event.person.track for event in events if event.person} == {1, 2}
    assert speech(events)
    ((speaks,), _) = sides(sightings)
    assert all(is_nobodys(event) or is_of(speaks, event) for event in speech(events))
    mute = {event.person.track for event in speech(events, voiced=False) if event.person}
    assert mute >= {1, 2} - {speaks}


@pytest.mark.parametrize("clip", ["bbaf2n.mpg", "sample_00001073.mp4"])
def test_what_is_said_behind_a_cover_is_not_the_other_ones(clip: str, tmp_path: Path) -> None:
    scene = write_scene(
        tmp_path / "scene.mp4",
        6.0,
        Someone(CLIPS / clip, at(LEFT)),
        Someone(SPEAKER, at(RIGHT), covered_s=(2.4, 3.4), says_s=[(2.65, 3.3)]),
    )
    (said,) = speech(events := judged(scene))
    assert 2.4 <= said.window.start_s < said.window.end_s <= 3.4
    assert is_nobodys(said)
    assert said.opinions["face"].reason == "several_people"
    assert {event.person.track for event in events if event.person} == {1, 2}


def test_both_covered_for_a_moment(tmp_path: Path) -> None:
    covered_s = (2.4, 3.4)
    scene = write_scene(
        tmp_path / "scene.mp4",
        6.0,
        Someone(CLIPS / "bbaf2n.mpg", at(LEFT), covered_s),
        Someone(SPEAKER, at(RIGHT), covered_s, says_s=[(2.65, 3.3)]),
    )
    assert sides(seen(scene)) in ([{1}, {2}], [{2}, {1}])
    (said,) = speech(judged(scene))
    assert is_nobodys(said)


def test_who_has_left_is_given_nothing_and_who_stays_has_their_voice(tmp_path: Path) -> None:
    scene = write_scene(
        tmp_path / "scene.mp4",
        9.0,
        Someone(SPEAKER, at(LEFT), says_s=[(3.4, 4.6), (6.4, 8.4)]),
        Someone(CLIPS / "bbaf2n.mpg", at(RIGHT, until_s=3.0)),
    )
    ((stays,), _) = sides(seen(scene))
    soon, later = speech(judged(scene))
    assert is_nobodys(soon)  # they may stand behind somebody
    assert later.person is not None
    assert later.person.track == stays
    assert later.opinions["face"].present


@pytest.mark.parametrize("side", [0, 1])
def test_who_speaks_beside_a_listener_has_their_face_voice_and_name(
    side: int, tmp_path: Path
) -> None:
    finder, config = open_finder(FACES), Config(faces=FACES)
    speaks, listens = (read_take(CLIPS / f"{n}.mpg", finder, config) for n in ("lrwp9a", "lbax4n"))
    pair = [speaks.pictures, listens.listening(len(speaks.pictures))]
    pictures = side_by_side(*(pair if side == 0 else pair[::-1]))
    scene = write_film(tmp_path / "scene.mp4", pictures, speaks.pcm)
    both = sides(seen(scene), middle_px=Take.side_px)
    (said,), (other,) = speech(events := judged(scene)), speech(events, voiced=False)
    assert said.person is not None
    assert {said.person.track} == both[side]
    assert said.opinions["face"].present
    assert other.person is not None
    assert {other.person.track} == both[1 - side]
    assert other.opinions["voice"].reason == "several_people"


@pytest.mark.parametrize("speed_px_s", [60, 150, 250])
def test_who_walks_stays_the_same(speed_px_s: float, tmp_path: Path) -> None:
    away_s = 1.0 + 300 / speed_px_s
    scene = write_scene(
        tmp_path / "scene.mp4",
        away_s + 1.0,
        Someone(CLIPS / "lwbsza.mpg", at(0)),
        Someone(CLIPS / "bbaf2n.mpg", walk(660, -speed_px_s, 1.0, away_s)),
    )
    assert sides(seen(scene), middle_px=240) in ([{1}, {2}], [{2}, {1}])


def test_who_walks_behind_a_cover_stays_the_same(tmp_path: Path) -> None:
    scene = write_scene(
        tmp_path / "scene.mp4",
        5.0,
        Someone(CLIPS / "lwbsza.mpg", at(0)),
        Someone(CLIPS / "bbaf2n.mpg", walk(660, -120, 0.5, 3.5), covered_s=(1.5, 2.5)),
    )
    assert sides(seen(scene), middle_px=240) in ([{1}, {2}], [{2}, {1}])
