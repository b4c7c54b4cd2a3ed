"""Pictures → faces: found by YuNet or Haar, cut out upright, followed from picture to picture."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt
import platformdirs
import structlog

from engines.errors import CredenceError
from engines.preprocess import face as preprocess
from streamer.config import Faces
from streamer.flow import AudioChunk, Epoch, Face, Media, Sighting, Unseen, VideoFrame
from streamer.tracks import Tracker
from streamer.worker import Worker

log = structlog.get_logger()

YUNET = "yunet.onnx"
"""The detector's name in the model cache."""

_WIDENED = np.clip(np.round((np.arange(256) - 16) * 255 / 219), 0, 255).astype(np.uint8)
"""Luma of limited range → of full range (ITU-R BT.601)."""
_LOOK_AGAIN_S = 2.0
_STILL = 5
"""Levels of 255 by which a block of a still picture may differ."""
_BLOCKS = 40
"""Blocks along the longer side: one is about as large as the smallest face that is found."""


class FaceModelError(CredenceError):
    """The face detector's model is missing or cannot be loaded."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(
            f"{path}: {problem}; set faces.model to a YuNet file (.onnx), to auto or to haar"
        )
        self.path, self.problem = path, problem


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Where a face is, in pixels of the full picture."""

    box_px: tuple[float, float, float, float]
    """x, y, width, height."""
    score: float
    """In [0, 1], the detector's own."""
    landmarks: npt.NDArray[np.float32] | None = None
    """(5, 2) as in `preprocess.face.TEMPLATE_PX`; None where the finder gives none."""

    def cut(self, frame: VideoFrame) -> Face:
        """Cut the face out of a picture."""
        turn = mouth = None
        if self.landmarks is None:
            crop = preprocess.crop(frame.grey, *(round(v) for v in self.box_px))
        else:
            crop = preprocess.align(frame.grey, self.landmarks)
            turn = preprocess.turn(self.landmarks)
            mouth = preprocess.mouth(self.landmarks)
        if frame.limited:
            crop = _WIDENED[crop]
        return Face(self.box_px, self.score, crop, turn=turn, mouth=mouth)


class Finder(Protocol):
    """Finds the faces in a picture. Not thread-safe."""

    small_px: int
    """The longer side of the picture it wants."""

    def find(self, frame: VideoFrame) -> list[Place]:
        """Return where every face in the picture is, best first."""


class YuNet:
    """OpenCV's YuNet: fast, finds turned faces, gives landmarks to align by.

    Heads that are turned away are left out: they have no expression to judge.
    """

    small_px = 320

    def __init__(self, model: Path, settings: Faces) -> None:
        if not model.is_file():
            raise FaceModelError(model, "there is no such file")
        try:
            self._net = cv2.FaceDetectorYN.create(str(model), "", (320, 320), settings.min_score)
        except cv2.error as error:
            raise FaceModelError(model, "not a YuNet model that OpenCV can load") from error
        self._min_size_px = settings.min_size_px

    def find(self, frame: VideoFrame) -> list[Place]:
        """Return where every face in the picture is, best first."""
        height, width = frame.small.shape[:2]
        self._net.setInputSize((width, height))
        _, rows = self._net.detect(frame.small)
        if rows is None:
            return []
        scale = np.float32(frame.grey.shape[1] / width)
        found = []
        for row in rows * scale:  # (15,): box, five landmarks, score
            landmarks = row[4:14].reshape(5, 2)
            if min(row[2], row[3]) < self._min_size_px or preprocess.turned_away(landmarks):
                continue
            x, y, width, height = (float(v) for v in row[:4])
            found.append(Place((x, y, width, height), float(row[14] / scale), landmarks))
        return found


class Haar:
    """OpenCV's Haar cascade: always there, slower, misses faces that are turned or small."""

    small_px = 640

    def __init__(self, settings: Faces) -> None:
        cascade = resources.files("cv2") / "data" / "haarcascade_frontalface_alt2.xml"
        self._cascade = cv2.CascadeClassifier(str(cascade))
        self._min_size_px = settings.min_size_px

    def find(self, frame: VideoFrame) -> list[Place]:
        """Return where every face in the picture is, best first."""
        scale = frame.grey.shape[1] / frame.small.shape[1]
        least = max(20, round(self._min_size_px / scale))
        grey = cv2.equalizeHist(cv2.cvtColor(frame.small, cv2.COLOR_BGR2GRAY))
        boxes, _, scores = self._cascade.detectMultiScale3(
            grey, 1.1, 4, minSize=(least, least), outputRejectLevels=True
        )
        found = []
        for box, weight in zip(boxes, scores, strict=True):
            x, y, width, height = (round(v * scale) for v in box)
            score = 1.0 - float(np.exp(-weight / 4))
            found.append(Place((x, y, width, height), min(max(score, 0.0), 1.0)))
        return sorted(found, key=lambda place: -place.score)


class Lookout:
    """Looks for the faces of one camera again only where something has moved, or after a while.

    What it remembers of a still picture is where the faces are; each is cut out of every picture.
    """

    def __init__(self, finder: Finder) -> None:
        self._finder = finder
        self._places: list[Place] = []
        self._seen: npt.NDArray[np.int16] | None = None
        self._seen_s = 0.0

    def faces(self, frame: VideoFrame) -> list[Face]:
        """Return every face in the camera's next picture, best first."""
        blocks = _blocks(frame.small)
        if self._moved(blocks) or frame.pts_s - self._seen_s >= _LOOK_AGAIN_S:
            self._places = self._finder.find(frame)
            self._seen, self._seen_s = blocks, frame.pts_s
        return [place.cut(frame) for place in self._places]

    def _moved(self, blocks: npt.NDArray[np.int16]) -> bool:
        if self._seen is None or self._seen.shape != blocks.shape:
            return True
        return int(np.abs(blocks - self._seen).max()) > _STILL


def _blocks(small: npt.NDArray[np.uint8]) -> npt.NDArray[np.int16]:
    """Return a picture (h, w, 3) as means of blocks, in which noise cancels."""
    shrink = min(1.0, _BLOCKS / max(small.shape[:2]))
    height, width = (max(1, round(shrink * side)) for side in small.shape[:2])
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_AREA).astype(np.int16)


def open_finder(settings: Faces) -> Finder:
    """Open the detector that is configured; `auto` takes YuNet where its model is cached."""
    if settings.model == "haar":
        return Haar(settings)
    if settings.model != "auto":
        return YuNet(Path(settings.model), settings)
    cached = platformdirs.user_cache_path("credence") / "models" / YUNET
    if cached.is_file():
        return YuNet(cached, settings)
    log.warning(
        "faces are looked for with Haar cascades, which miss many; "
        "get YuNet with: credence models fetch yunet"
    )
    return Haar(settings)


async def find_faces(
    media: AsyncIterator[Media], finder: Finder, worker: Worker
) -> AsyncIterator[Epoch | AudioChunk | Sighting | Unseen]:
    """Replace each picture by the faces in it; sound passes."""
    tracker, lookout = Tracker(), Lookout(finder)
    async for item in media:
        match item:
            case VideoFrame():
                faces = await worker.run(lookout.faces, item)
                yield Sighting(item.pts_s, tracker.follow(item.pts_s, faces))
            case Epoch():
                tracker, lookout = Tracker(), Lookout(finder)
                yield item
            case AudioChunk() | Unseen():
                yield item
