"""How far apart sound and pictures of a camera come, and what that costs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.skew import Skew, shared

VIDEO_S, AUDIO_S = 0.04, 0.064


def skew_of(
    offset_s: float,
    *,
    gulp_s: float = 0.0,
    until_s: float = 12.0,
    drift: float = 0.0,
    seed: int = 0,
) -> list[float | None]:
    """Tell after each packet, where sound of media time t comes at t + offset_s + drift * t."""
    random = np.random.default_rng(seed)
    packets = [(at + random.exponential(0.02), at, False) for at in np.arange(0, until_s, VIDEO_S)]
    packets += [
        (at * (1 + drift) + offset_s + random.exponential(0.02), at, True)
        for at in np.arange(0, until_s, AUDIO_S)
    ]
    skew, told = Skew(), []
    for came_s, media_s, sound in sorted(packets):
        # Read only now and then, all that is there.
        read_s = np.ceil(came_s / gulp_s) * gulp_s if gulp_s else came_s
        skew.took(media_s, 1000 + read_s, sound=sound)
        told.append(skew.skew_s)
    return told


@pytest.mark.parametrize("offset_s", [-2.0, -0.5, 0.0, 0.2, 1.0, 5.0])
@pytest.mark.parametrize("gulp_s", [0.0, 0.1, 0.5])
def test_skew_is_how_much_later_sound_comes(offset_s: float, gulp_s: float) -> None:
    known = [value for value in skew_of(offset_s, gulp_s=gulp_s, until_s=20) if value is not None]
    assert known[-1] == pytest.approx(offset_s, abs=0.05 + gulp_s / 10)


def test_skew_follows_a_clock_that_drifts() -> None:
    (*_, last) = skew_of(0.0, until_s=600, drift=1e-3)
    assert last == pytest.approx(0.6, abs=0.05)


def test_a_stall_of_both_is_no_skew() -> None:
    skew = Skew()
    for n in range(500):
        at_s = n * VIDEO_S
        came_s = max(at_s, 15.0) if at_s > 10 else at_s  # 5 s of nothing, then all at once
        skew.took(at_s, came_s, sound=False)
        skew.took(at_s + 0.01, came_s, sound=True)
        assert skew.skew_s is None or abs(skew.skew_s) < 0.05


def test_skew_is_not_known_at_first_nor_without_one_of_the_two() -> None:
    told = skew_of(0.3, until_s=1.5)
    assert told == [None] * len(told)
    skew = Skew()
    for n in range(100):
        skew.took(n * VIDEO_S, n * VIDEO_S, sound=False)
        if n < 75:
            skew.took(n * VIDEO_S, n * VIDEO_S + 0.5, sound=True)
            known = skew.skew_s
    assert known == pytest.approx(0.5, abs=0.01)
    skew.took(9.0, 9.0, sound=False)
    assert skew.skew_s is None


def test_a_stamp_that_is_set_right_is_followed_within_seconds() -> None:
    skew = Skew()
    for n in range(500):
        at_s = n * VIDEO_S
        skew.took(at_s, at_s, sound=False)
        skew.took(at_s + (1.0 if n < 250 else 0.0), at_s, sound=True)
        if n == 249:
            assert skew.skew_s == pytest.approx(-1.0, abs=0.01)
    assert skew.skew_s == pytest.approx(0.0, abs=0.01)


@pytest.mark.parametrize(
    ("skew_s", "length_s", "share"),
    [
        (None, 2, 1),
        (0.0, 2, 1),
        (0.4, 2, 1),
        (-0.4, 0.5, 1),
        (1.4, 2, 0.5),
        (-1.4, 2, 0.5),
        (9, 2, 0),
    ],
)
def test_shared_is_what_both_show_of_one_time(
    skew_s: float | None, length_s: float, share: float
) -> None:
    assert shared(skew_s, length_s) == pytest.approx(share)


@given(st.floats(-100, 100), st.floats(-100, 100), st.floats(0, 60))
def test_shared_never_grows_with_skew(one_s: float, other_s: float, length_s: float) -> None:
    near_s, far_s = sorted((one_s, other_s), key=abs)
    assert 0 <= shared(far_s, length_s) <= shared(near_s, length_s) <= 1
