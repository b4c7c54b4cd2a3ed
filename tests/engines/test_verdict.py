"""What is trusted, why not, and with which engines a policy refuses to work."""

import json
import math
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.fusion import Rule
from engines.manifest import (
    BrokenBundleError,
    Curve,
    Modality,
    PolicyManifest,
    Threshold,
    write_manifest,
)
from engines.opinion import Opinion
from engines.verdict import UNCERTIFIED, Policy, PolicyMismatchError, Reason, open_policy

SURE = Opinion.from_evidence([0, 0, 0, 60, 0, 0, 0])
UNSURE = Opinion.from_evidence([0, 0, 0, 4, 3, 0, 0])
NOTHING = Opinion.vacuous(7)
CERTIFIED = Threshold(confidence=0.8, target=0.9, delta=0.05, n=100, data="d" * 64, basis="paired")


def policy(**changes: object) -> Policy:
    given: dict[str, object] = {
        "name": "test",
        "hash": "h",
        "rule": Rule.DEMPSTER,
        "reliability": MappingProxyType({}),
        "thresholds": MappingProxyType({"face": CERTIFIED, "face+voice": None}),
    }
    return Policy(**{**given, **changes})  # type: ignore[arg-type]


def test_judge_trusts_above_the_certified_threshold() -> None:
    verdict = policy().judge({"face": SURE}).verdict
    assert (verdict.emotion, verdict.trusted, verdict.reason) == (
        "happiness",
        True,
        Reason.CERTIFIED,
    )
    assert verdict.confidence == pytest.approx(61 / 67)


def test_judge_does_not_trust_below_the_threshold() -> None:
    verdict = policy().judge({"face": UNSURE}).verdict
    assert (verdict.trusted, verdict.reason) == (False, Reason.BELOW_THRESHOLD)


@pytest.mark.parametrize("opinions", [{"face": SURE, "voice": SURE}, {"voice": SURE}])
def test_judge_without_a_threshold_is_uncertified(opinions: dict[str, Opinion]) -> None:
    verdict = policy().judge(opinions).verdict  # type: ignore[arg-type]
    assert (verdict.trusted, verdict.reason) == (False, Reason.UNCERTIFIED)


@pytest.mark.parametrize("opinions", [{}, {"face": NOTHING}, {"face": NOTHING, "voice": NOTHING}])
def test_judge_of_nothing_names_no_emotion(opinions: dict[str, Opinion]) -> None:
    judgement = policy().judge(opinions)  # type: ignore[arg-type]
    assert judgement.verdict.emotion is None
    assert judgement.verdict.reason is Reason.NO_EVIDENCE
    assert float(judgement.fused.uncertainty) == 1.0


def test_judge_takes_a_vacuous_opinion_for_an_absent_one() -> None:
    assert policy().judge({"face": SURE, "voice": NOTHING}).verdict.trusted


def test_judge_discounts_by_reliability() -> None:
    half = policy(reliability=MappingProxyType({"face": 0.5}))
    full, less = policy().judge({"face": SURE}), half.judge({"face": SURE})
    assert less.trust == {"face": 0.5}
    assert float(less.fused.uncertainty) > float(full.fused.uncertainty)
    assert less.verdict.confidence < full.verdict.confidence


BY_SIZE: Curve = ((20.0, 40.0), (0.2, 1.0))
BY_LIGHT: Curve = ((0.0, 10.0), (0.0, 0.5))


@pytest.mark.parametrize(
    ("quality", "trust"),
    [
        ({}, 0.8),  # nothing was measured
        ({"other": 0.0}, 0.8),  # nothing that the policy knows
        ({"size_px": 30.0}, 0.8 * 0.6),
        ({"size_px": 10.0}, 0.8 * 0.2),
        ({"size_px": 400.0}, 0.8),
        ({"size_px": 30.0, "contrast": 99.0}, 0.8 * 0.5),  # the least, no product
        ({"contrast": -1.0}, 0.0),
    ],
)
def test_judge_trusts_as_far_as_the_worst_quality_allows(
    quality: dict[str, float], trust: float
) -> None:
    curves = {"face": {"size_px": BY_SIZE, "contrast": BY_LIGHT}}
    judge = policy(reliability={"face": 0.8}, quality=curves).judge
    judgement = judge({"face": SURE, "voice": SURE}, {"face": quality})
    assert judgement.trust == pytest.approx({"face": trust, "voice": 1.0})
    assert judge({"face": SURE}, {"face": quality}).verdict.emotion == (
        "happiness" if trust else None
    )


def test_judge_calibrates_by_the_modalities_that_are_present() -> None:
    curve: Curve = ((0.5, 1.0), (0.1, 0.9))
    judge = policy(calibration={"face": curve}).judge
    raw, plain = policy().judge({"face": SURE}).verdict, judge({"voice": SURE}).verdict
    calibrated = judge({"face": SURE}).verdict
    assert calibrated.confidence == pytest.approx(0.1 + 0.8 * (raw.confidence - 0.5) / 0.5)
    assert (raw.trusted, calibrated.trusted) == (True, False)  # the threshold is on calibrated ones
    assert plain.confidence == raw.confidence
    assert judge({"face": SURE, "voice": NOTHING}).verdict == calibrated


@given(st.lists(st.floats(0, 100), min_size=2, max_size=2), st.floats(0, 60))
def test_trust_and_confidence_never_fall_as_quality_grows(two: list[float], most: float) -> None:
    curves = {"face": {"size_px": BY_SIZE}}
    opinions: dict[Modality, Opinion] = {"face": Opinion.from_evidence([0, 0, 0, most, 0, 0, 0])}
    worse, better = (
        policy(quality=curves).judge(opinions, {"face": {"size_px": size}}) for size in sorted(two)
    )
    assert worse.trust["face"] <= better.trust["face"]
    assert worse.verdict.confidence <= better.verdict.confidence + 1e-12


evidence = st.lists(st.floats(0, 60), min_size=7, max_size=7)


@given(evidence, evidence, st.floats(0, 1), st.floats(0, 1), st.sampled_from(Rule))
def test_what_is_of_different_times_is_never_trusted_more(
    face: list[float], voice: list[float], one: float, other: float, rule: Rule
) -> None:
    curve: Curve = ((0.2, 0.6, 1.0), (0.3, 0.5, 0.95))
    judge = policy(
        rule=rule,
        reliability={"face": 0.7},
        calibration={"face+voice": curve},
        thresholds={"face+voice": CERTIFIED},
    ).judge
    opinions: dict[Modality, Opinion] = {
        "face": Opinion.from_evidence(face),
        "voice": Opinion.from_evidence(voice),
    }
    less, more = (judge(opinions, shared=share) for share in sorted((one, other)))
    assert less.verdict.confidence <= more.verdict.confidence + 1e-12
    assert more.verdict.trusted or not less.verdict.trusted
    assert float(less.fused.uncertainty) >= float(more.fused.uncertainty) - 1e-12
    assert (less.conflict, less.trust) == (more.conflict, more.trust)
    whole, plain = judge(opinions, shared=1.0), judge(opinions)
    assert (whole.fused.belief == plain.fused.belief).all()


def test_judge_grows_uncertain_when_modalities_disagree() -> None:
    other = Opinion.from_evidence([60, 0, 0, 0, 0, 0, 0])
    agree = UNCERTIFIED.judge({"face": SURE, "voice": SURE})
    differ = UNCERTIFIED.judge({"face": SURE, "voice": other})
    assert differ.conflict > 0.7
    assert float(differ.fused.uncertainty) > 5 * float(agree.fused.uncertainty)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    manifest = PolicyManifest(
        format=1,
        kind="policy",
        name="test",
        engines={"face": "f1", "voice": "v1"},
        rule=Rule.WEIGHTED,
        reliability={"face": 0.8},
        thresholds={"face": CERTIFIED},
        licence="Apache-2.0",
        files={},
    )
    write_manifest(tmp_path, manifest)
    return tmp_path


def test_open_policy_reads_what_was_written(bundle: Path) -> None:
    opened = open_policy(bundle, {"face": "f1"})
    assert opened.rule is Rule.WEIGHTED
    assert opened.reliability == {"face": 0.8}
    assert opened.thresholds["face"] == CERTIFIED


def change(bundle: Path, **changes: object) -> None:
    file = bundle / "engine.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_open_policy_reads_quality_and_calibration(bundle: Path) -> None:
    quality = {"voice": {"snr_db": [[0, 20], [0.1, 1]]}}
    change(bundle, format=2, quality=quality, calibration={"face": [[0.2, 1], [0.2, 0.9]]})
    opened = open_policy(bundle, {})
    judgement = opened.judge({"voice": SURE}, {"voice": {"snr_db": 10.0}})
    assert judgement.trust["voice"] == pytest.approx(0.55)
    assert opened.calibration == {"face": ((0.2, 1.0), (0.2, 0.9))}


def test_open_policy_reads_one_from_before_quality(bundle: Path) -> None:
    old = json.loads((bundle / "engine.json").read_text())
    del old["quality"], old["calibration"]
    (bundle / "engine.json").write_text(json.dumps(old))
    assert open_policy(bundle, {}).quality == {}


@pytest.mark.parametrize(
    ("curves", "sentence"),
    [
        ({"snr_db": [[0, 20], [1, 0.1]]}, "values that never fall"),
        ({"snr_db": [[20, 0], [0.1, 1]]}, "rising places"),
        ({"snr_db": [[0, 0], [0.1, 1]]}, "rising places"),
        ({"snr_db": [[0], [0.1, 1]]}, "as many values as places"),
        ({"snr_db": [[], []]}, "at least one"),
        ({"snr_db": [[0, 20], [0.1, 1.5]]}, "less than or equal to 1"),
        ({"snr_db": [[0, math.nan], [0.1, 1]]}, "finite"),
        ({"loudness": [[0, 20], [0.1, 1]]}, "no measure loudness, only snr_db, "),
    ],
)
def test_open_policy_refuses_impossible_curves(
    bundle: Path, curves: dict[str, object], sentence: str
) -> None:
    change(bundle, format=2, quality={"voice": curves})
    with pytest.raises(BrokenBundleError, match=sentence):
        open_policy(bundle, {})


@pytest.mark.parametrize("engines", [{"face": "other"}, {"text": "t1"}])
def test_open_policy_refuses_other_engines(bundle: Path, engines: dict[str, str]) -> None:
    with pytest.raises(PolicyMismatchError, match="to run without a certified"):
        open_policy(bundle, engines)  # type: ignore[arg-type]


def test_open_policy_refuses_what_is_none(tmp_path: Path) -> None:
    with pytest.raises(BrokenBundleError, match=r"no readable engine\.json"):
        open_policy(tmp_path, {})
