"""Whole recordings: one decision each, by hand and through the real `credence replay`."""

from pathlib import Path

import numpy as np
import pytest

from engines.engine import BUNDLES
from engines.errors import CredenceError
from engines.labels import EMOTIONS
from train.data.table import Row, UnreadableFilesError
from train.recordings import Event, ReplayError, decide, evaluate_recordings, replayed

ROW = Row({"path": "a.mp4"}, "fear", "ann", None)


def event(emotion: str, belief: float, uncertainty: float, reason: str) -> Event:
    rest = (1 - belief - uncertainty) / 6
    return {
        "emotion": emotion,
        "belief": {e: belief if e == emotion else rest for e in EMOTIONS},
        "uncertainty": uncertainty,
        "reason": reason,
        "trusted": reason == "certified",
    }


def test_decide_weighs_windows_by_what_was_seen_in_them() -> None:
    events = [
        event("fear", 0.8, 0.1, "certified"),
        event("anger", 0.3, 0.6, "below_threshold"),
        event("anger", 0.0, 1.0, "no_evidence"),
    ]
    found = decide(ROW, events)
    projected = 0.8 + 0.1 / 7, (1 - 0.3 - 0.6) / 6 + 0.6 / 7
    expected = (0.9 * projected[0] + 0.4 * projected[1]) / 1.3
    assert found.emotion == "fear"
    assert found.confidence == pytest.approx(expected)
    assert found.probability.sum() == pytest.approx(1)
    assert found.certified
    assert found.trusted


SURE, UNSURE = event("fear", 0.8, 0.1, "certified"), event("fear", 0.8, 0.1, "below_threshold")
OTHER = event("anger", 0.7, 0.1, "certified")


@pytest.mark.parametrize(
    ("events", "trusted", "certified"),
    [
        ([event("fear", 0.8, 0.1, "uncertified")], False, False),
        ([UNSURE], False, True),
        ([SURE, UNSURE], False, True),
        ([SURE, SURE, UNSURE], True, True),
        ([UNSURE, OTHER], False, True),
    ],
)
def test_decide_trusts_when_most_of_the_weight_is_trusted_and_agrees(
    events: list[Event], trusted: bool, certified: bool
) -> None:
    found = decide(ROW, events)
    assert (found.trusted, found.certified) == (trusted, certified)


@pytest.mark.parametrize("events", [[], [event("fear", 0.0, 1.0, "no_evidence")]])
def test_decide_makes_nothing_of_no_evidence(events: list[Event]) -> None:
    found = decide(ROW, events)
    assert found.emotion is None
    assert found.confidence == 0
    np.testing.assert_allclose(found.probability, 1 / 7)


@pytest.mark.timeout(120)
def test_recordings_go_through_the_live_pipeline(corpora: Path, tmp_path: Path) -> None:
    clips = corpora / "clips"
    (tmp_path / "clips.csv").write_text(
        f"path,label,group\n{clips}/bbaf2n.mpg,neutral,ann\n{clips}/brbk7n.mpg,neutral,bo\n"
    )
    found = evaluate_recordings([BUNDLES / "face"], tmp_path / "clips.csv")
    assert set(found.engines) == {"face"}
    assert found.decisions.groups.tolist() == [0, 1]
    assert (found.decisions.guess >= 0).all()
    assert (found.decisions.confidence > 1 / 7).all()


@pytest.mark.timeout(120)
def test_what_is_no_recording_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no recording")
    for name in ("a.mp4", "gone.mp4"):
        (tmp_path / "clips.csv").write_text(f"path,label\n{name},fear\n")
        with pytest.raises(UnreadableFilesError, match=f"1 of 1 files cannot be read: .*/{name}: "):
            evaluate_recordings([], tmp_path / "clips.csv")


@pytest.mark.timeout(60)
def test_a_replay_that_fails_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ReplayError, match=r"credence replay failed: .*nonsense"):
        replayed([tmp_path / "a.mp4"], ["nonsense=1"])


def test_a_label_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "clips.csv").write_text("path,label\na.mp4,calm\n")
    with pytest.raises(CredenceError, match="'calm' is not known; use one of anger"):
        evaluate_recordings([], tmp_path / "clips.csv")
