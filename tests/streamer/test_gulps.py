"""A stream that is read in gulps: when its thread may rest."""

from streamer.live import Gulps


def after(late_s: list[float], media_s: list[float] | None = None) -> Gulps:
    """Gulps after a picture every 0.04 s that were so late."""
    gulps = Gulps()
    for n, late in enumerate(late_s):
        at_s = 0.04 * n
        gulps.took(media_s[n] if media_s else at_s, 100 + at_s + late)
    return gulps


def test_gulps_end_where_a_packet_is_waited_for() -> None:
    assert after([0.0, 0.1, 0.02]).emptied(0.02)
    assert not after([0.0, 0.1, 0.02]).emptied(0.0001)


def test_gulps_go_on_where_the_processor_was_waited_for_and_the_stream_is_behind() -> None:
    behind = [0.0] * 10 + [0.3]
    assert not after(behind).emptied(0.02)
    assert after([*behind, 0.05]).emptied(0.02)


def test_gulps_bear_a_clock_that_drifts_or_is_set_anew() -> None:
    pictures = range(20_000)
    assert after([5e-4 * 0.04 * n for n in pictures]).emptied(0.02)  # ends 0.4 s late
    assert after([0.0] * 4, media_s=[500.0, 500.04, 3.0, 3.04]).emptied(0.02)
    assert after([0.0] * 4, media_s=[3.0, 3.04, 500.0, 500.04]).emptied(0.02)
