"""A live stream that is read in gulps: when its thread may rest, and what it leaves undecoded."""

from streamer.backlog import Backlog, Skipping


def behind(late_s: list[float], media_s: list[float] | None = None) -> bool:
    """Tell so after a picture every 0.04 s, each so late."""
    backlog = Backlog()
    for n, late in enumerate(late_s):
        at_s = 0.04 * n
        backlog.took(media_s[n] if media_s else at_s, 100 + at_s + late)
    return backlog.behind


def test_a_gulp_that_comes_late_by_its_rest_is_not_behind() -> None:
    assert not behind([0.0, 0.1, 0.06, 0.02])


def test_what_is_later_than_ever_is_behind_until_it_has_caught_up() -> None:
    late_s = [0.0] * 10 + [0.1, 0.3]
    assert behind(late_s)
    assert not behind([*late_s, 0.15])


def test_a_clock_may_drift_and_be_set_anew() -> None:
    assert not behind([5e-4 * 0.04 * n for n in range(20_000)])  # ends 0.4 s late
    assert not behind([0.0] * 4, media_s=[500.0, 500.04, 3.0, 3.04])
    assert not behind([0.0] * 4, media_s=[3.0, 3.04, 500.0, 500.04])


_KEY_EVERY = 25


def skipped(late_s: list[float], *, downstream_s: float = 0.0, may: bool = True) -> list[bool]:
    """Tell of a picture every 0.04 s, each so late, which are left out; each 25th is a key."""
    backlog, found = Backlog(), []
    skipping = Skipping(backlog)
    for n, late in enumerate(late_s):
        at_s = 0.04 * n
        backlog.took(at_s, 100 + at_s + late)
        key = n % _KEY_EVERY == 0
        left_out = skipping.leaves(downstream_s, 100 + at_s + late, picture=True, key=key, may=may)
        found.append(left_out)
    return found


def test_pictures_are_left_out_from_late_to_the_key_after_it_has_caught_up() -> None:
    late_s = [0.0] * 5 + [0.6, 0.4, 0.3, 0.1] + [0.0] * 30
    assert skipped(late_s) == [5 <= n < _KEY_EVERY for n in range(len(late_s))]
    assert not any(skipped(late_s, may=False))


def test_a_key_that_is_late_is_left_out_too() -> None:
    late_s = [0.0] * 5 + [0.6] * 22 + [0.0] * 30
    assert skipped(late_s) == [5 <= n < 2 * _KEY_EVERY for n in range(len(late_s))]


def test_what_is_decoded_and_taken_late_is_a_reason_too() -> None:
    assert all(skipped([0.0] * 60, downstream_s=0.6))


def test_who_leaves_out_all_and_stays_as_late_has_a_longer_way() -> None:
    found = skipped([0.0] * 5 + [0.8] * 100)
    assert all(found[5:30])
    assert not any(found[2 * _KEY_EVERY :])


def test_sound_goes_on_until_it_is_far_behind() -> None:
    backlog = Backlog()
    skipping = Skipping(backlog)
    left_out = []
    for n, late_s in enumerate([0.0, 0.6, 0.9, 1.1, 0.6, 0.0]):
        backlog.took(n, 100 + n + late_s)
        left_out.append(skipping.leaves(9.0, 100 + n, picture=False, key=True, may=True))
    assert left_out == [False, False, False, True, False, False]
