"""Every measure falls as what it is about goes wrong, on real faces, voices and clips."""

from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest

from engines.engine import BUNDLES
from engines.fusion import Rule
from engines.manifest import Modality
from engines.opinion import Opinion
from engines.preprocess import face
from engines.quality import MEASURES, measure
from engines.verdict import Policy, open_policy
from engines.window import FaceWindow, TextWindow, VoiceWindow, Window
from tests.media import CLIPS, DATA, needs_data
from train.data.samples import Input
from train.data.sound import read_sound
from train.robustness import corruption

NOISE = np.random.default_rng(0).normal(0, 0.1, 32_000).astype(np.float32)


@cache
def faces() -> list[Input]:
    with np.load(DATA / "face" / "ferplus_valid.npz") as file:
        return list(file["images"][:400:10])


@cache
def voices() -> list[Input]:
    return [
        read_sound(path)
        for corpus in ("ravdess", "emodb")
        for path in sorted((DATA / "voice" / corpus).glob("*.flac"))[::150]
    ]


@cache
def clips() -> list[Input]:
    return [read_sound(path)[:64_000] for path in sorted(CLIPS.glob("*.m*"))[:4]]


def window(item: Input) -> Window:
    if isinstance(item, str):
        return TextWindow(0.0, 1.0, item)
    return VoiceWindow(0.0, item) if item.ndim == 1 else FaceWindow(0.0, 1.0, item[None])


def typical(items: Sequence[Input], spec: str | None, name: str) -> float:
    how = corruption(spec) if spec else None
    rng = np.random.default_rng(0)
    return float(np.median([measure(window(how.apply(i, rng) if how else i))[name] for i in items]))


@needs_data
@pytest.mark.parametrize(
    ("source", "name", "specs"),
    [
        (faces, "sharpness", ["blur:0.7", "blur:1.5", "blur:3"]),
        (faces, "sharpness", ["small:32", "small:20", "small:10"]),
        (faces, "texture", ["occlude:0.1", "occlude:0.25", "occlude:0.5"]),
        (faces, "texture", ["jpeg:20", "jpeg:10", "jpeg:3"]),
        (faces, "contrast", ["dark:0.6", "dark:0.3", "dark:0.1"]),
        (voices, "snr_db", ["noise:20", "noise:10", "noise:0"]),
        (voices, "decay_db_s", ["reverb:0.3", "reverb:0.6", "reverb:1.5"]),
        (voices, "unclipped", ["clip:0.05", "clip:0.1", "clip:0.3"]),
        (voices, "bandwidth_hz", ["band:8000", "band:4000"]),
        (clips, "snr_db", ["noise:10", "noise:0"]),
        (clips, "decay_db_s", ["reverb:0.3", "reverb:0.6", "reverb:1.5"]),
        (clips, "unclipped", ["clip:0.05", "clip:0.3"]),
        (clips, "bandwidth_hz", ["band:8000", "band:4000"]),
    ],
)
def test_measure_falls_with_its_degradation(source: object, name: str, specs: list[str]) -> None:
    assert callable(source)
    items: list[Input] = source()
    found = [typical(items, spec, name) for spec in (None, *specs)]
    assert all(worse < better for better, worse in pairwise(found)), found


@needs_data
@pytest.mark.parametrize("ratio_db", [0, 10])
def test_snr_is_near_the_truth_in_steady_noise(ratio_db: int) -> None:
    assert typical(voices(), f"noise:{ratio_db}", "snr_db") == pytest.approx(ratio_db, abs=3)


def test_clipping_and_bandwidth_are_what_they_say() -> None:
    for share in (0.05, 0.3):
        assert typical([NOISE], f"clip:{share}", "unclipped") == pytest.approx(1 - share, abs=0.02)
    for rate_hz in (4000, 8000, 12_000):
        found = typical([NOISE], f"band:{rate_hz}", "bandwidth_hz")
        assert found == pytest.approx(rate_hz / 2, rel=0.1)


def test_speech_is_counted_without_its_silence() -> None:
    silence = np.zeros_like(NOISE)
    assert typical([np.concatenate([silence, NOISE, silence])], None, "speech_s") == (
        pytest.approx(2.0, abs=0.05)
    )


@pytest.mark.parametrize("pcm", [np.zeros(1), np.zeros(16_000), np.ones(400), NOISE[:1]])
def test_voice_measures_are_finite_of_anything(pcm: npt.NDArray[np.float64]) -> None:
    found = measure(VoiceWindow(0.0, pcm.astype(np.float32)))
    assert MEASURES["voice"].keys() - found.keys() <= {"decay_db_s"}
    assert np.isfinite(list(found.values())).all()


@pytest.mark.parametrize(
    ("pcm", "known"),
    [
        (NOISE[:1600], False),  # 100 ms
        (np.pad(NOISE[:800], (16_000, 0)), False),  # nothing is heard to fall
        (np.pad(NOISE[:800], (0, 16_000)), True),
        (NOISE[:3200], True),
    ],
)
def test_decay_is_left_out_where_nothing_could_fall(
    pcm: npt.NDArray[np.float32], known: bool
) -> None:
    assert ("decay_db_s" in measure(VoiceWindow(0.0, pcm))) == known


def test_size_and_pose_are_measured_where_they_are_known() -> None:
    crops = np.zeros((2, 48, 48), np.uint8)
    unknown = measure(FaceWindow(0.0, 1.0, crops))
    assert MEASURES["face"].keys() - unknown.keys() == {"size_px", "frontal"}
    assert np.isfinite(list(unknown.values())).all()
    sizes, turns = np.array([40, 80], np.float32), np.array([0.5, -1.2], np.float32)
    known = measure(FaceWindow(0.0, 1.0, crops, sizes, turns))
    assert (known["size_px"], known["frontal"]) == (60.0, 0.25)


def test_a_mouth_is_as_wide_whatever_the_size_and_the_tilt() -> None:
    eyes, corners = face.TEMPLATE_PX[:2], face.TEMPLATE_PX[3:]
    wide = np.linalg.norm(corners[1] - corners[0]) / np.linalg.norm(eyes[1] - eyes[0])
    tilted = 3 * face.TEMPLATE_PX @ np.array([[0.8, 0.6], [-0.6, 0.8]], np.float32)
    for landmarks in (face.TEMPLATE_PX, tilted):
        assert face.mouth(landmarks) == pytest.approx(float(wide), abs=1e-5)


def test_turn_grows_as_the_nose_leaves_the_middle() -> None:
    assert face.turn(face.TEMPLATE_PX) == pytest.approx(0, abs=0.01)
    for where in (0, 1):  # the nose before an eye
        turned = face.TEMPLATE_PX.copy()
        turned[2, 0] = turned[where, 0]
        assert face.turn(turned) == pytest.approx(2 * where - 1, abs=1e-6)


def test_words_are_as_sure_as_the_transcriber() -> None:
    assert measure(TextWindow(0.0, 1.0, "Not at all!")) == {"words": 4.0}
    sure = measure(TextWindow(0.0, 1.0, "No.", avg_logprob=-0.25, no_speech_prob=0.125))
    assert sure == {"words": 1.0, "avg_logprob": -0.25, "speech_prob": 0.875}


POLICY = Policy(
    name="test",
    hash="h",
    rule=Rule.DEMPSTER,
    reliability={"face": 0.9, "voice": 0.8},
    thresholds={},
    quality={
        "face": {
            "sharpness": ((0.0, 0.5), (0.2, 1.0)),
            "texture": ((0.5, 0.95), (0.2, 1.0)),
            "contrast": ((0.0, 40.0), (0.1, 1.0)),
        },
        "voice": {
            "snr_db": ((0.0, 20.0), (0.2, 1.0)),
            "decay_db_s": ((50.0, 150.0), (0.2, 1.0)),
            "unclipped": ((0.5, 1.0), (0.2, 1.0)),
            "bandwidth_hz": ((1000.0, 7000.0), (0.2, 1.0)),
        },
    },
)
SURE = Opinion.from_evidence([0, 0, 0, 60, 0, 0, 0])


SHIPPED = open_policy(BUNDLES / "policy", {})


def trust(
    kind: Modality, items: Sequence[Input], spec: str | None, policy: Policy = POLICY
) -> float:
    how, rng = corruption(spec) if spec else None, np.random.default_rng(0)
    found = [measure(window(how.apply(item, rng) if how else item)) for item in items]
    return float(np.mean([policy.judge({kind: SURE}, {kind: q}).trust[kind] for q in found]))


@needs_data
@pytest.mark.parametrize("spec", ["blur:2", "small:12", "occlude:0.4", "dark:0.2", "jpeg:3"])
def test_trust_in_a_real_face_falls_with_its_quality(spec: str) -> None:
    assert trust("face", faces(), spec) < 0.95 * trust("face", faces(), None)


@needs_data
@pytest.mark.parametrize("source", [voices, clips])
@pytest.mark.parametrize("spec", ["noise:0", "reverb:2", "clip:0.3", "band:4000"])
def test_trust_in_a_real_voice_falls_with_its_quality(source: object, spec: str) -> None:
    assert callable(source)
    assert trust("voice", source(), spec) < 0.95 * trust("voice", source(), None)


@needs_data
@pytest.mark.parametrize("spec", ["blur:2", "small:12", "occlude:0.4", "jpeg:3"])
def test_shipped_policy_trusts_a_spoilt_face_less(spec: str) -> None:
    assert trust("face", faces(), spec, SHIPPED) < 0.9 * trust("face", faces(), None, SHIPPED)


@needs_data
@pytest.mark.parametrize("source", [voices, clips])
@pytest.mark.parametrize("spec", ["noise:0", "reverb:2", "clip:0.3"])
def test_shipped_policy_trusts_a_spoilt_voice_less(source: object, spec: str) -> None:
    assert callable(source)
    clean = trust("voice", source(), None, SHIPPED)
    assert trust("voice", source(), spec, SHIPPED) < 0.9 * clean
