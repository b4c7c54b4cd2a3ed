"""The engines in the repository are whole, small, and as good as their cards say."""

from pathlib import Path

import numpy as np
import pytest

from engines.engine import BUNDLES, open_engine
from engines.manifest import Modality, PolicyManifest, read_manifest
from engines.verdict import open_policy
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


def test_policy_is_of_these_engines_and_certifies_nothing() -> None:
    hashes = {kind: open_engine(BUNDLES / kind).hash for kind in KINDS}
    open_policy(BUNDLES / "policy", hashes)
    manifest, _ = read_manifest(BUNDLES / "policy")
    assert isinstance(manifest, PolicyManifest)
    assert manifest.thresholds == {}


def test_face_reaches_its_floor_on_unseen_faces(corpora: Path) -> None:
    samples = ferplus.read(corpora, "valid")
    chosen = list(range(0, len(samples.inputs), 10))
    assert figures("face", samples, chosen)["accuracy"] >= 0.78


def test_voice_reaches_its_floor_on_unseen_actors(some_voices: Path) -> None:
    samples = ravdess.read(some_voices, "valid")
    chosen = list(range(len(samples.inputs)))
    assert figures("voice", samples, chosen)["uar"] >= 0.50
