"""Finding faces with the real detectors, in real portraits."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest

from engines.preprocess.face import crop
from engines.quality import Quality, measure
from engines.window import FaceWindow
from streamer.config import Faces
from streamer.faces import (
    FaceModelError,
    Finder,
    Haar,
    Lookout,
    Place,
    YuNet,
    find_faces,
    open_finder,
)
from streamer.flow import AudioChunk, Face, Media, Sighting, VideoFrame
from streamer.worker import Worker
from tests.media import CLIPS, YUNET, needs_data

skimage = pytest.importorskip("skimage.data", reason="the portrait comes with scikit-image")

needs_yunet = pytest.mark.skipif(
    not YUNET.is_file(), reason=f"no YuNet model at {YUNET}; set CREDENCE_DATA"
)
AUTO = Faces()
HAAR = Faces(model="haar")


def picture(finder: Finder, rgb: npt.NDArray[np.uint8] | None = None) -> VideoFrame:
    image = skimage.astronaut() if rgb is None else rgb
    height, width = image.shape[:2]
    shrink = min(1.0, finder.small_px / max(height, width))
    small = cv2.resize(image, (round(width * shrink), round(height * shrink)))
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.uint8)
    return VideoFrame(0.0, grey, cv2.cvtColor(small, cv2.COLOR_RGB2BGR).astype(np.uint8))


@pytest.fixture(params=["haar", pytest.param("yunet", marks=needs_yunet)])
def finder(request: pytest.FixtureRequest) -> Finder:
    return Haar(HAAR) if request.param == "haar" else YuNet(YUNET, AUTO)


def faces_in(frame: VideoFrame, finder: Finder) -> list[Face]:
    return [place.cut(frame) for place in finder.find(frame)]


def test_find_returns_the_face_of_a_portrait(finder: Finder) -> None:
    (face,) = faces_in(picture(finder), finder)
    x, y, width, height = face.box_px
    assert x < 225 < x + width
    assert y < 115 < y + height
    assert face.crop.shape == (48, 48)
    assert face.crop.dtype == np.uint8
    assert 0.5 < face.score <= 1


def test_find_measures_in_the_full_picture(finder: Finder) -> None:
    large = cv2.resize(skimage.astronaut(), (2048, 2048))
    (face,) = faces_in(picture(finder, large.astype(np.uint8)), finder)
    x, y, width, height = face.box_px
    assert x < 900 < x + width
    assert y < 460 < y + height


def test_find_returns_nobody_in_an_empty_picture(finder: Finder) -> None:
    assert finder.find(picture(finder, np.zeros((480, 640, 3), np.uint8))) == []


def test_find_says_how_the_head_is_turned_where_it_can(finder: Finder) -> None:
    (face,) = faces_in(picture(finder), finder)
    if isinstance(finder, Haar):
        assert face.turn is None
    else:
        assert face.turn is not None
        assert abs(face.turn) < 0.5


@needs_data
@pytest.mark.parametrize(
    ("name", "worsen"),
    [
        ("size_px", lambda grey: cv2.resize(grey, None, fx=0.4, fy=0.4)),
        ("sharpness", lambda grey: cv2.GaussianBlur(grey, (0, 0), 5)),
        ("contrast", lambda grey: (0.4 * grey).astype(np.uint8)),
    ],
)
def test_quality_falls_as_a_real_clip_gets_worse(
    name: str, worsen: Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.uint8]]
) -> None:
    for clip in sorted(CLIPS.glob("*.mp4"))[:3]:
        good, bad = (
            _of_best_face(YuNet(YUNET, AUTO), how(_first_picture(clip)))
            for how in (lambda grey: grey, worsen)
        )
        assert bad[name] < 0.8 * good[name]


def _first_picture(clip: Path) -> npt.NDArray[np.uint8]:
    with av.open(str(clip)) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24").astype(np.uint8)


def _of_best_face(finder: Finder, rgb: npt.NDArray[np.uint8]) -> Quality:
    best = faces_in(picture(finder, rgb), finder)[0]
    sizes, turns = (np.array([v], np.float32) for v in (best.box_px[2], best.turn))
    return measure(FaceWindow(0.0, 0.0, best.crop[None], sizes, turns))


@needs_yunet
def test_find_leaves_small_faces_out() -> None:
    settings = Faces(min_size_px=400)
    assert YuNet(YUNET, settings).find(picture(YuNet(YUNET, settings))) == []
    assert Haar(settings).find(picture(Haar(settings))) == []


@needs_yunet
@pytest.mark.parametrize("angle", [-20, 20])
def test_yunet_turns_a_tilted_head_upright(angle: float) -> None:
    turn = cv2.getRotationMatrix2D((225, 115), angle, 1.0)
    tilted = cv2.warpAffine(skimage.astronaut(), turn, (512, 512), borderMode=cv2.BORDER_REPLICATE)
    frame = picture(yunet := YuNet(YUNET, AUTO), tilted.astype(np.uint8))
    (upright,) = faces_in(picture(yunet), yunet)
    (face,) = faces_in(frame, yunet)
    boxed = crop(frame.grey, *(round(v) for v in face.box_px))
    assert alike(face.crop, upright.crop) > alike(boxed, upright.crop) + 0.1


def alike(a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8]) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


@pytest.mark.parametrize(("content", "says"), [(None, "no such file"), (b"x" * 99, "not a YuNet")])
def test_open_finder_refuses_in_one_sentence(
    tmp_path: Path, content: bytes | None, says: str
) -> None:
    path = tmp_path / "yunet.onnx"
    if content:
        path.write_bytes(content)
    with pytest.raises(FaceModelError, match=says):
        open_finder(Faces(model=str(path)))


def test_open_finder_falls_back_to_haar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert isinstance(open_finder(AUTO), Haar)


@needs_yunet
def test_open_finder_takes_yunet_from_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    models = tmp_path / "credence" / "models"
    models.mkdir(parents=True)
    (models / "yunet.onnx").write_bytes(YUNET.read_bytes())
    assert isinstance(open_finder(AUTO), YuNet)


async def test_find_faces_follows_people_and_lets_sound_pass() -> None:
    haar, worker = Haar(HAAR), Worker("test")
    sound = AudioChunk(0.1, np.zeros(160, np.int16))

    async def media() -> AsyncIterator[Media]:
        yield picture(haar)
        yield sound
        yield picture(haar)

    found = [item async for item in find_faces(media(), haar, worker)]
    worker.close()
    assert found[1] is sound
    tracks = [face.track for item in found if isinstance(item, Sighting) for face in item.faces]
    assert tracks == [1, 1]


class Counting:
    """Finds one face at a fixed place, and counts how often it has looked."""

    small_px = 320
    looks = 0

    def find(self, frame: VideoFrame) -> list[Place]:
        self.looks += 1
        return [Place((8.0, 8.0, 32.0, 32.0), 1.0)]


def seen(pts_s: float, level: int = 90, corner: int = 90) -> VideoFrame:
    small = np.full((180, 320, 3), level, np.uint8)
    small[:16, :16] = corner
    return VideoFrame(pts_s, small[..., 0].copy(), small)


def test_lookout_looks_again_only_where_something_moved() -> None:
    lookout = Lookout(finder := Counting())
    lookout.faces(seen(0.0))
    lookout.faces(seen(0.4, level=92))
    assert finder.looks == 1
    lookout.faces(seen(0.8, corner=130))
    assert finder.looks == 2


def test_lookout_looks_again_after_a_while() -> None:
    lookout = Lookout(finder := Counting())
    for step in range(11):
        lookout.faces(seen(0.4 * step))
    assert finder.looks == 3


def test_lookout_notices_a_slow_change() -> None:
    lookout = Lookout(finder := Counting())
    for step in range(4):
        lookout.faces(seen(0.4 * step, level=90 + 3 * step))
    assert finder.looks == 2


def test_lookout_cuts_what_is_there_now() -> None:
    lookout = Lookout(Counting())
    lookout.faces(seen(0.0))
    (face,) = lookout.faces(seen(0.4, level=93))
    assert face.crop.mean() == pytest.approx(93, abs=3)


def test_cut_widens_a_limited_range() -> None:
    frame = VideoFrame(
        0.0,
        np.array([[16, 235], [16, 235]], np.uint8).repeat(24, 0).repeat(24, 1),
        np.zeros((48, 48, 3), np.uint8),
        limited=True,
    )
    face = Place((0.0, 0.0, 48.0, 48.0), 1.0).cut(frame)
    assert (face.crop.min(), face.crop.max()) == (0, 255)
