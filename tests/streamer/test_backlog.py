"""A live stream that is read in gulps: when its thread may rest."""

from streamer.backlog import Backlog


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
