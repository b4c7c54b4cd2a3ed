"""Scenes of two people, made of clips of one: side by side, covered, leaving, walking."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, cycle, islice
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.films import RATE_HZ, Picture, write_film
from engines.window import SAMPLE_RATE_HZ
from streamer.clip import read_sound

PANEL_PX = (288, 288)
"""Width and height of the part of a clip that shows its speaker."""
SCENE_PX = (960, 288)

Place = Callable[[float], int | None]
"""Time → the left edge of somebody's panel, in pixels; None while they are not there."""


@dataclass(frozen=True, slots=True)
class Someone:
    """One person of a scene."""

    clip: Path
    place: Place
    covered_s: tuple[float, float] = (0.0, 0.0)
    """From when to when a grey block is before the face."""
    says_s: Sequence[tuple[float, float]] = ()
    """From when to when the clip's own voice is heard."""


def at(x: int, until_s: float = np.inf) -> Place:
    """Stand still, and be gone after a while."""
    return lambda time_s: x if time_s < until_s else None


def walk(x: int, speed_px_s: float, from_s: float, to_s: float) -> Place:
    """Stand, walk from one time to another, and stand again."""
    return lambda time_s: x + round(speed_px_s * (min(max(time_s, from_s), to_s) - from_s))


def write_scene(path: Path, seconds: float, *people: Someone) -> Path:
    """Write what a camera would see and hear of them."""
    panels = [_panels(one.clip, round(seconds * RATE_HZ)) for one in people]
    shown = zip(*panels, strict=True)
    pictures = (_scene(people, each, number / RATE_HZ) for number, each in enumerate(shown))
    return write_film(path, pictures, _sound(people, seconds))


def _scene(people: Sequence[Someone], panels: Sequence[Picture], time_s: float) -> Picture:
    scene = np.full((SCENE_PX[1], SCENE_PX[0], 3), 90, np.uint8)
    for one, panel in zip(people, panels, strict=True):
        _draw(scene, one, panel, time_s)
    return scene


def _panels(clip: Path, count: int) -> list[Picture]:
    """Return the speaker of a clip, played forwards and backwards so that nobody jumps."""
    with av.open(str(clip)) as container:
        frames = [_panel(f.to_ndarray(format="rgb24")) for f in container.decode(video=0)]
    return list(islice(cycle(chain(frames, reversed(frames))), count))


def _panel(picture: npt.NDArray[Any]) -> Picture:
    width, height = PANEL_PX
    scaled = cv2.resize(picture, (round(picture.shape[1] * height / picture.shape[0]), height))
    left = (scaled.shape[1] - width) // 2
    return scaled[:, left : left + width].astype(np.uint8)


def _draw(scene: Picture, one: Someone, panel: Picture, time_s: float) -> None:
    if (x := one.place(time_s)) is None:
        return
    width, height = PANEL_PX
    scene[:, x : x + width] = panel
    if one.covered_s[0] <= time_s < one.covered_s[1]:
        scene[height // 12 : height * 11 // 12, x : x + width] = 128


def _sound(people: Sequence[Someone], seconds: float) -> npt.NDArray[np.int16]:
    heard = np.zeros(round(seconds * SAMPLE_RATE_HZ), np.int16)
    for one in people:
        voice = read_sound(one.clip)
        for from_s, to_s in one.says_s:
            start, end = round(from_s * SAMPLE_RATE_HZ), round(to_s * SAMPLE_RATE_HZ)
            heard[start:end] = np.resize(voice, end - start)
    return heard
