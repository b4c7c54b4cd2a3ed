"""What is said of a camera's picture: black, frozen, or well."""

import numpy as np

from streamer.flow import VideoFrame
from streamer.picture import PictureWatch


def picture(at_s: float, value: int) -> VideoFrame:
    grey = np.full((4, 6), value, np.uint8)
    return VideoFrame(at_s, grey, np.repeat(grey[:, :, None], 3, axis=2))


def said_of(values: list[int]) -> list[tuple[int, str]]:
    watch = PictureWatch(black_after_s=3, frozen_after_s=5)
    found = [(at, watch.look(picture(at, value))) for at, value in enumerate(values)]
    return [(at, notice.sentence.split(";")[0]) for at, notice in found if notice]


def test_watch_says_that_a_picture_is_black_and_when_it_is_not() -> None:
    assert said_of([9, 0, 1, 0, 0, 1, 0, 9, 0, 0, 0, 0]) == [
        (4, "the picture is black"),
        (7, ""),
        (11, "the picture is black"),
    ]


def test_watch_says_once_that_a_picture_is_frozen() -> None:
    assert said_of([9] * 5 + [10] * 9) == [(11, "the picture does not change any more")]


def test_watch_is_quiet_about_a_picture_that_moves() -> None:
    assert said_of([50, 51] * 20) == []
