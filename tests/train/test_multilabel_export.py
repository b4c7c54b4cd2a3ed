# ruff: noqa: E402, imports follow the skip
"""From a run of several emotions at once to an engine."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs credence[train]")
pytest.importorskip("onnxscript", reason="export needs credence[train]")
pytest.importorskip("torch._dynamo")  # seconds to load, so not while a test's clock runs
torch.set_num_threads(1)

from benchmarks.planted_noise import recipe
from engines.engine import open_engine
from engines.labels import EMOTIONS
from engines.manifest import BUNDLES, read_manifest
from engines.multilabel import MultilabelEngine
from engines.verify import verify
from engines.window import SequenceWindow
from train import cli
from train.bundle import ExportError
from train.data.sequences import Parts, Sequences
from train.multilabel.export import export
from train.multilabel.fit import train
from train.multilabel.judge import judge
from train.multilabel.run import read_run
from train.run import RunError

pytestmark = pytest.mark.timeout(60, func_only=True)

WIDTHS = {"face": 6, "voice": 5}  # two, since the exporter takes seconds for each
LENGTHS = {"face": 3, "voice": 9}


def samples(n: int, seed: int) -> Sequences:
    rng = np.random.default_rng(seed)
    pools = {
        kind: rng.normal(1.0, 2.0, size=(n, LENGTHS[kind], width)).astype(np.float32)
        for kind, width in WIDTHS.items()
    }
    rows = {kind: np.where(rng.random(n) < 0.8, np.arange(n), -1) for kind in WIDTHS}
    targets = (rng.random((n, 7)) < 0.3).astype(np.float32)
    return Sequences(pools, rows, targets, EMOTIONS, tuple(map(str, range(n))))


def trained(folder: Path, **changes: Any) -> Path:
    how = recipe(0, optimise={"epochs": 1, "batch": 32}, **changes)
    train(how, Parts(samples(64, 0), samples(32, 1), samples(32, 2)), folder)
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("live") / "run", corpus="matched")


@pytest.fixture(scope="module")
def bundle(run: Path) -> Path:
    cli.export(run, run.parent / "bundle")
    return run.parent / "bundle"


@pytest.fixture
def engine(bundle: Path) -> MultilabelEngine:
    return open_engine(bundle, "multilabel")


def test_bundle_repeats_its_reference_and_names_its_encoders(engine: MultilabelEngine) -> None:
    assert verify(engine).largest_difference < 1e-4
    assert engine.manifest.engines == {kind: read_manifest(BUNDLES / kind)[1] for kind in WIDTHS}
    assert engine.manifest.experimental
    assert list(engine.manifest.parts) == ["face", "voice"]
    assert engine.manifest.input.shape == (None, 12, 6)


def test_engine_says_what_the_network_says(engine: MultilabelEngine, run: Path) -> None:
    _, results, network = read_run(run)
    held = samples(20, 3)
    expected = judge(network, held)
    batch = held.batch(np.arange(20))
    windows = [
        SequenceWindow({k: rows[i] for k, rows in batch.items() if rows[i].any()})  # type: ignore[misc]
        for i in range(20)
    ]
    found = engine.answers(windows)
    for i, emotions in enumerate(found):
        np.testing.assert_allclose(emotions.probability, expected.probability[i], atol=1e-5)
        np.testing.assert_allclose(emotions.spread, expected.spread[i], rtol=1e-4)
        shown = expected.probability[i] >= np.array(results.thresholds)
        np.testing.assert_array_equal(emotions.shown, shown)


@pytest.mark.parametrize("length", [0, 500])
def test_engine_takes_sequences_of_any_length(engine: MultilabelEngine, length: int) -> None:
    rows = np.random.default_rng(0).normal(size=(length, 5)).astype(np.float32)
    (emotions,) = engine.answers([SequenceWindow({"voice": rows})])
    assert np.isfinite(emotions.probability).all()
    assert (emotions.spread > 0).all() == (length > 0)


def test_program_is_the_same_network(engine: MultilabelEngine, bundle: Path) -> None:
    program = torch.export.load(bundle / "program.pt2").module()
    with np.load(bundle / "reference.npz") as reference:
        inputs = reference["inputs"]
    for rows in (inputs[:1], inputs[:5]):
        made = engine.runtime(rows)
        for name, there in zip(made, program(torch.from_numpy(rows)), strict=True):
            np.testing.assert_allclose(made[name], there.detach().numpy(), rtol=1e-4, atol=1e-5)


def test_card_says_what_it_is_and_whose(bundle: Path) -> None:
    card = (bundle / "MODEL_CARD.md").read_text(encoding="utf-8")
    for words in ("**Experimental.**", "**synthetic**", "Micro f1", "RAVDESS", "Prohibited use"):
        assert words in card
    home = str(Path(__file__).parents[2]).encode()
    assert all(home not in path.read_bytes() for path in bundle.iterdir())


def test_only_what_runs_live_is_exported(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="trained on planted, whose features no live encoder"):
        export(trained(tmp_path / "run"), tmp_path / "bundle")
    with pytest.raises(RunError, match="no finished run"):
        export(tmp_path, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()
