"""The engines in the repository are whole, small, and as good as their cards say."""

from pathlib import Path

import numpy as np
import pytest

from engines.engine import BUNDLES, open_engine
from engines.manifest import Modality
from engines.verdict import MODALITIES, open_policy
from engines.verify import verify
from train.data import ferplus, ravdess
from train.data.samples import Samples
from train.evaluate import decide
from train.metrics import scores

KINDS: tuple[Modality, ...] = ("face", "voice")


def figures(kind: Modality, samples: Samples, chosen: list[int]) -> dict[str, float]:
    engine = open_engine(BUNDLES / kind)
    truth = samples.targets.argmax(axis=1)[chosen]
    return scores(truth, np.array([decide(engine, samples.inputs[i]) for i in chosen]))


@pytest.mark.parametrize("kind", KINDS)
def test_bundle_is_whole_small_and_licensed(kind: Modality) -> None:
    engine = open_engine(BUNDLES / kind)
    assert verify(engine).largest_difference <= 1e-3
    assert sum(p.stat().st_size for p in (BUNDLES / kind).iterdir()) <= 8e6
    card = (BUNDLES / kind / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert engine.manifest.licence in card
    assert "Prohibited use" in card


def test_policy_is_of_these_engines_and_promises_nine_of_ten() -> None:
    hashes = {kind: open_engine(BUNDLES / kind).hash for kind in MODALITIES}
    policy = open_policy(BUNDLES / "policy", hashes)
    assert len(policy.thresholds) == len(policy.calibration) == 7
    for together, threshold in policy.thresholds.items():
        if threshold:
            assert (threshold.target, threshold.delta) == (0.9, 0.05)
            assert threshold.basis == ("label-matched" if "+" in together else "paired")
    assert policy.thresholds["face"]
    assert policy.thresholds["face+text+voice"]


def test_face_reaches_its_floor_on_unseen_faces(corpora: Path) -> None:
    samples = ferplus.read(corpora, "valid")
    chosen = list(range(0, len(samples.inputs), 10))
    assert figures("face", samples, chosen)["accuracy"] >= 0.78


def test_voice_reaches_its_floor_on_unseen_actors(some_voices: Path) -> None:
    samples = ravdess.read(some_voices, "valid")
    chosen = list(range(len(samples.inputs)))
    assert figures("voice", samples, chosen)["uar"] >= 0.50
