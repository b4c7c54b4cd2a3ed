"""Whose voice it is among several: told by mouths that open and close, and never guessed."""

from collections.abc import Callable
from datetime import UTC, datetime

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import f

from engines.window import FACE_PX, FaceWindow
from streamer.config import Windows
from streamer.flow import Epoch, Face, Listening, Sighting, Utterance, Window
from streamer.speakers import mouth_varies, speaker
from streamer.windows import Windower

EPOCH = Epoch("e-0", datetime(2026, 1, 1, tzinfo=UTC), has_video=True, has_audio=True)
STEP_S = 0.4
OPEN_PX = [0, 4, 1, 5, 2, 0, 5, 3, 1, 4]
"""How far a mouth that talks is open, picture after picture."""
SHUT_PX = [0] * 10

Opens = list[int]


def crop(open_px: int, light: float = 1.0) -> npt.NDArray[np.uint8]:
    """Draw a face as an aligned crop shows it: eyes, nose, and a mouth that is open so far."""
    face = np.full((FACE_PX, FACE_PX), 150, np.uint8)
    for eye in (15, 33):
        cv2.circle(face, (eye, 19), 3, 60, -1)
    cv2.line(face, (24, 20), (24, 29), 120, 2)
    cv2.ellipse(face, (24, 37), (7, 1 + open_px), 0, 0, 360, 40, -1)
    lit: npt.NDArray[np.uint8] = np.clip(face * light, 0, 255).astype(np.uint8)
    return lit


def window(opens: Opens, turn: float | None = 0.0, step_s: float = STEP_S) -> FaceWindow:
    turns = None if turn is None else np.full(len(opens), turn, np.float32)
    return FaceWindow(0, len(opens) * step_s, np.stack([crop(o) for o in opens]), turns=turns)


@pytest.mark.parametrize("talks", [1, 2, 3])
def test_the_one_whose_mouth_moves_speaks(talks: int) -> None:
    assert speaker({n: window(OPEN_PX if n == talks else SHUT_PX) for n in (1, 2, 3)}) == talks


@pytest.mark.parametrize("opens", [OPEN_PX, SHUT_PX])
def test_where_both_move_or_neither_does_it_is_not_known(opens: Opens) -> None:
    assert speaker({1: window(opens), 2: window(opens[::-1])}) is None


def test_where_two_of_three_move_it_is_not_known() -> None:
    assert speaker({1: window(OPEN_PX), 2: window(SHUT_PX), 3: window(OPEN_PX[::-1])}) is None


@pytest.mark.parametrize(
    ("pictures", "step_s", "who"), [(5, 0.4, None), (6, 0.3, None), (6, 0.4, 1)]
)
def test_a_short_look_tells_nothing(pictures: int, step_s: float, who: int | None) -> None:
    opens = {1: OPEN_PX[:pictures], 2: SHUT_PX[:pictures]}
    assert speaker({n: window(each, step_s=step_s) for n, each in opens.items()}) == who


@pytest.mark.parametrize("turn", [None, 0.6, -0.6])
@pytest.mark.parametrize("whose", [1, 2])
def test_faces_without_landmarks_or_turned_tell_nothing(whose: int, turn: float | None) -> None:
    opens = {1: OPEN_PX, 2: SHUT_PX}
    faces = {n: window(each, turn if n == whose else 0.4) for n, each in opens.items()}
    assert speaker(faces) is None


def test_a_light_that_flickers_moves_no_mouth() -> None:
    lights = np.linspace(0.5, 1.2, 10)
    crops = np.stack([crop(1, light) for light in lights])
    assert mouth_varies(FaceWindow(0, 4, crops)) < 0.02


def test_how_much_a_mouth_varies_is_its_light_in_units_of_the_faces_contrast() -> None:
    crops = window(OPEN_PX).crops.astype(float)
    lips = [(c[33:43, 18:31].mean() - c.mean()) / c.std() for c in crops]
    assert mouth_varies(window(OPEN_PX)) == pytest.approx(np.std(lips, ddof=1), rel=1e-4)


def noisy(level: float, seed: int, pictures: int) -> FaceWindow:
    """Return a face whose lips vary by about ``level``, and nothing else of it."""
    rng = np.random.default_rng(seed)
    crops = np.stack([crop(0)] * pictures).astype(float)
    shift = rng.normal(size=pictures)
    shift *= level * crops[0].std() / shift.std(ddof=1)
    crops[:, 33:43, 18:31] += shift[:, None, None] + rng.uniform(-0.5, 0.5, (pictures, 10, 13))
    return FaceWindow(0, 4, np.round(crops).astype(np.uint8), turns=np.zeros(pictures, np.float32))


@pytest.mark.parametrize("pictures", [6, 10, 20])
def test_what_is_clear_is_a_ratio_of_variances_that_chance_seldom_gives(pictures: int) -> None:
    """Fisher's z against the F distribution that it approximates."""
    ratio = float(np.sqrt(f.isf(0.05, pictures - 1, pictures - 1)))
    still = 0.038

    def clear(times: float) -> bool:
        faces = {1: noisy(still, 1, pictures), 2: noisy(still * times, 2, pictures)}
        return speaker(faces) == 2

    assert clear(1.25 * ratio)
    assert not clear(0.8 * ratio)


@pytest.mark.parametrize(("first", "second"), [(0.055, 0.01), (0.2, 0.05)])
def test_between_moving_and_still_is_not_clear(first: float, second: float) -> None:
    assert speaker({1: noisy(first, 1, 20), 2: noisy(second, 2, 20)}) is None


def cut(said: Utterance, *people: Callable[[int], int | None]) -> list[Window]:
    """Return the windows of speech while each of these people opens their mouth so far.

    They are seen every 0.4 s for eight seconds; None is a face that is not found.
    """
    windower = Windower(Windows())
    items: list[Epoch | Sighting | Listening | Utterance] = [EPOCH]
    for number in range(20):
        opens = [person(number) for person in people]
        faces = tuple(
            Face((200.0 * n, 0, 50, 50), 0.9, crop(o), track=n, turn=0.0)
            for n, o in enumerate(opens, 1)
            if o is not None
        )
        items.append(Sighting(number * STEP_S, faces))
        items.append(Listening(number * STEP_S, min(number * STEP_S, said.start_s)))
    items += [said, Listening(8.0, 8.0)]
    windows = [window for item in items for window in windower.feed(item)]
    return [w for w in [*windows, *windower.close()] if w.kind == "speech"]


def talks(number: int) -> int | None:
    return OPEN_PX[number % len(OPEN_PX)]


def listens(number: int) -> int | None:
    return 0


def say(start_s: float = 1.0, end_s: float = 5.0) -> Utterance:
    return Utterance(start_s, end_s, np.zeros(round((end_s - start_s) * 16_000), np.float32))


def test_the_speaker_gets_the_voice_and_the_others_their_faces() -> None:
    said = say()
    first, second, third = cut(said, listens, talks, listens)
    assert [w.track for w in (first, second, third)] == [1, 2, 3]
    assert second.voice is not None
    assert second.voice.pcm is said.pcm
    assert second.face is not None
    assert not second.absent
    for other in (first, third):
        assert other.face is not None
        assert other.voice is None
        assert other.absent == {"voice": "several_people"}


def test_whoever_speaks_next_gets_what_is_said_next() -> None:
    def then(number: int) -> int | None:
        return talks(number) if number >= 10 else 0

    def before(number: int) -> int | None:
        return talks(number) if number < 10 else 0

    assert [w.track for w in cut(say(0, 4), before, then) if w.voice] == [1]
    assert [w.track for w in cut(say(4, 7.5), before, then) if w.voice] == [2]


@pytest.mark.parametrize("unseen", [range(5, 6), range(8, 11), range(12, 20), range(3)])
def test_who_is_not_seen_throughout_may_be_who_speaks(unseen: range) -> None:
    def covered(number: int) -> int | None:
        return None if number in unseen else 0

    (voice,) = [w for w in cut(say(), talks, covered) if w.voice is not None]
    overlaps = any(1.0 <= number * STEP_S < 5.0 for number in unseen)
    assert voice.track == (None if overlaps else 1)
    if overlaps:
        assert voice.face is None
        assert voice.absent == {"face": "several_people"}


def test_who_was_there_a_moment_ago_may_be_who_speaks() -> None:
    def gone(number: int) -> int | None:
        return 0 if number < 2 else None

    (voice,) = [w for w in cut(say(), talks, listens, gone) if w.voice is not None]
    assert voice.track is None
