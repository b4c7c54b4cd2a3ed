"""What counts as stalled, packet by packet."""

from streamer.pulse import Medium, Pulse


def fed(*, until_s: dict[Medium, float], every_s: float = 0.04) -> Pulse:
    pulse = Pulse(stall_s=5.0)
    for medium, end_s in until_s.items():
        for number in range(int(end_s / every_s) + 1):
            pulse.took(medium, number * every_s)
    return pulse


def test_a_picture_that_stops_has_stalled_until_it_comes_again() -> None:
    pulse = fed(until_s={"picture": 10.0, "sound": 16.0})
    assert pulse.stall(14.9) is None
    stall = pulse.stall(15.1)
    assert stall is not None
    assert (str(stall), stall.partial) == ("no picture for 5 s; sound goes on", True)
    assert not stall.lasts(30.0)
    pulse.took("picture", 16.0)
    assert pulse.stall(16.1) is None


def test_sound_that_stops_has_stalled() -> None:
    stall = fed(until_s={"picture": 16.0, "sound": 10.0}).stall(16.0)
    assert str(stall) == "no sound for 5 s; the picture goes on"


def test_nothing_at_all_is_another_stall_than_half() -> None:
    pulse = fed(until_s={"picture": 10.0, "sound": 12.0})
    half, all_ = pulse.stall(16.0), pulse.stall(17.0)
    assert half != all_ is not None
    assert (str(all_), all_.partial) == ("nothing has come for 5 s", False)
    assert str(fed(until_s={"picture": 10.0}).stall(15.5)) == "nothing has come for 5 s"


def test_the_same_stall_stays_the_same_while_it_lasts() -> None:
    pulse = fed(until_s={"picture": 10.0, "sound": 60.0})
    assert pulse.stall(16.0) == pulse.stall(41.0)
    lasting = pulse.stall(41.0)
    assert lasting is not None
    assert lasting.lasts(30.0)


def test_a_picture_every_ten_seconds_does_not_stall() -> None:
    pulse = Pulse(stall_s=5.0)
    for at_s in range(100):
        pulse.took("sound", at_s)
        if at_s % 10 == 0:
            pulse.took("picture", at_s)
        assert pulse.stall(at_s + 0.9) is None
    for at_s in range(100, 122):
        pulse.took("sound", at_s)
    assert str(pulse.stall(121.0)) == "no picture for 30 s; sound goes on"
    slow = pulse.stall(121.0)
    assert slow is not None
    assert not slow.lasts(30.0)


def test_one_outage_makes_no_habit_and_two_do() -> None:
    pulse = fed(until_s={"picture": 100.0, "sound": 10.0})
    for at_s in (20.0, 20.1, 20.2):  # after a rest of 10 s
        pulse.took("sound", at_s)
    assert pulse.stall(25.3) is not None
    for at_s in (30.0, 30.1):
        pulse.took("sound", at_s)
    assert pulse.stall(36.0) is None


def test_what_never_came_does_not_stall() -> None:
    pulse = fed(until_s={"picture": 30.0})
    pulse.took("sound", 0.0)
    pulse.took("sound", 0.1)
    assert pulse.stall(30.1) is None
    assert Pulse().stall(1e6) is None
