"""What is trusted, why not, and with which engines a policy refuses to work."""

from pathlib import Path
from types import MappingProxyType

import pytest

from engines.fusion import Rule
from engines.manifest import BrokenBundleError, PolicyManifest, Threshold, write_manifest
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


@pytest.mark.parametrize("engines", [{"face": "other"}, {"text": "t1"}])
def test_open_policy_refuses_other_engines(bundle: Path, engines: dict[str, str]) -> None:
    with pytest.raises(PolicyMismatchError, match="to run without a certified"):
        open_policy(bundle, engines)  # type: ignore[arg-type]


def test_open_policy_refuses_what_is_none(tmp_path: Path) -> None:
    with pytest.raises(BrokenBundleError, match=r"no readable engine\.json"):
        open_policy(tmp_path, {})
