"""Multilabel bundles: what they answer, and what is refused in one sentence."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from engines.engine import BUNDLES, EngineContractError, open_engine
from engines.labels import EMOTIONS
from engines.manifest import BrokenBundleError, Modality, sha256
from engines.multilabel import MultilabelEngine, MultilabelMismatchError
from engines.preprocess.sequence import SequenceError
from engines.runtime import Batch, Outputs
from engines.verify import verify
from engines.window import SequenceWindow
from tests.engines.bundle import ENCODERS, PARTS, write_bundle, write_multilabel

Rows = np.ndarray


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_multilabel(tmp_path / "tiny")


@pytest.fixture
def engine(bundle: Path) -> MultilabelEngine:
    return open_engine(bundle, "multilabel")


class Spoilt:
    """A runtime whose answers are changed."""

    name = "spoilt"
    batches = False

    def __init__(self, engine: MultilabelEngine, change: Callable[[Outputs], Outputs]) -> None:
        self._good, self._change = engine.runtime, change

    def __call__(self, batch: Batch) -> Outputs:
        made = self._good(batch)
        return {**made, **self._change(made)}


def window(**lengths: int) -> SequenceWindow:
    random = np.random.default_rng(sum(lengths.values()))
    kinds: dict[Modality, int] = lengths  # type: ignore[assignment]
    return SequenceWindow(
        {k: random.normal(size=(n, PARTS[k].width)).astype(np.float32) for k, n in kinds.items()}
    )


def change(bundle: Path, **entries: object) -> None:
    path = bundle / "engine.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


def refusal(bundle: Path) -> str:
    with pytest.raises((BrokenBundleError, EngineContractError)) as caught:
        open_engine(bundle, "multilabel")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_answers_are_what_the_network_gives(engine: MultilabelEngine) -> None:
    (said,) = engine.answers([window(face=6, voice=8, text=4)])
    assert said.probability.shape == said.spread.shape == said.shown.shape == (len(EMOTIONS),)
    np.testing.assert_allclose(said.spread, said.probability / (1 - said.probability), rtol=1e-4)
    np.testing.assert_array_equal(said.shown, said.probability >= 0.5)
    assert said.shown.any()
    assert not said.shown.all()


@pytest.mark.parametrize(
    "lengths",
    [
        {"face": 0, "voice": 1},
        {"face": 1},
        {"face": 500, "voice": 500, "text": 500},
        {"text": 500},
        {},
    ],
)
def test_sequences_of_any_length_are_answered(
    engine: MultilabelEngine, lengths: dict[str, int]
) -> None:
    (said,) = engine.answers([window(**lengths)])
    assert ((said.probability >= 0) & (said.probability <= 1)).all()
    assert (np.isfinite(said.spread) & (said.spread >= 0)).all()


def test_a_modality_of_zeros_is_one_that_is_not_there(engine: MultilabelEngine) -> None:
    alone = window(voice=5)
    zeros = replace(alone, sequences={**alone.sequences, "face": np.zeros((9, 5), np.float32)})
    one, other = engine.answers([alone, zeros])
    np.testing.assert_array_equal(one.probability, other.probability)
    np.testing.assert_array_equal(one.spread, other.spread)


def test_windows_asked_together_are_answered_as_alone(engine: MultilabelEngine) -> None:
    windows = [window(face=3, voice=9), window(text=2), window(face=500)]
    for asked, said in zip(windows, engine.answers(windows), strict=True):
        (alone,) = engine.answers([asked])
        np.testing.assert_allclose(said.probability, alone.probability, rtol=1e-5)
    assert engine.answers([]) == []


def test_each_emotion_has_its_own_threshold(tmp_path: Path) -> None:
    never = (0.0, *(1.0 for _ in EMOTIONS[1:]))
    engine = open_engine(write_multilabel(tmp_path / "tiny", thresholds=never), "multilabel")
    (said,) = engine.answers([window(face=2)])
    assert said.shown.tolist() == [True, *(False for _ in EMOTIONS[1:])]


def test_a_sequence_of_another_encoder_is_refused(engine: MultilabelEngine) -> None:
    with pytest.raises(SequenceError, match="take it from the voice engine that"):
        engine.answers([SequenceWindow({"voice": np.ones((3, 9), np.float32)})])


@pytest.mark.parametrize(
    "spoil",
    [
        lambda made: {"probability": made["probability"] + 1},
        lambda made: {"probability": made["probability"] - 1},
        lambda made: {"probability": made["probability"] * np.float32(np.nan)},
        lambda made: {"spread": -made["spread"]},
        lambda made: {"spread": made["spread"] + np.float32(np.inf)},
    ],
)
def test_nonsense_is_the_bundles_fault(
    engine: MultilabelEngine, spoil: Callable[[Outputs], Outputs]
) -> None:
    spoilt = replace(engine, runtime=Spoilt(engine, spoil))
    with pytest.raises(BrokenBundleError, match="its network gives nonsense"):
        spoilt.answers([window(face=1)])
    with pytest.raises(BrokenBundleError, match="its network gives nonsense"):
        verify(spoilt)


def test_encoders_that_it_was_not_trained_on_are_refused(engine: MultilabelEngine) -> None:
    engine.check_encoders(ENCODERS)
    engine.check_encoders({"voice": ENCODERS["voice"]})
    engine.check_encoders({})
    with pytest.raises(MultilabelMismatchError) as caught:
        engine.check_encoders({**ENCODERS, "voice": "another"})
    assert "was trained on voice engine 1111111111111111, not another;" in str(caught.value)
    assert "set recognition.multilabel to false" in str(caught.value)
    assert caught.value.kind == "voice"


def test_encoders_that_it_does_not_know_are_refused(engine: MultilabelEngine) -> None:
    manifest = engine.manifest.model_copy(update={"engines": {"face": ENCODERS["face"]}})
    with pytest.raises(
        MultilabelMismatchError, match="this multilabel engine knows no voice engine"
    ):
        replace(engine, manifest=manifest).check_encoders(ENCODERS)


def test_a_multilabel_bundle_is_opened_only_as_one(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(BrokenBundleError, match="this is a multilabel bundle, where a face, voice"):
        open_engine(bundle)
    with pytest.raises(
        BrokenBundleError, match="this is a multilabel bundle, where face is wanted"
    ):
        open_engine(bundle, "face")
    assert "this is a face bundle, where multilabel is wanted" in refusal(write_bundle(tmp_path))
    assert "this is a policy bundle, where multilabel is wanted" in refusal(BUNDLES / "policy")


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"preprocessing": "sequence-0"}, "built for preprocessing sequence-0, this code runs"),
        ({"labels": ["calm", *EMOTIONS[1:]]}, "built for labels calm"),
        ({"thresholds": [0.5] * 6}, "each label needs a threshold"),
        ({"thresholds": [1.5] * 7}, "engine.json is damaged: multilabel.thresholds.0: "),
        ({"input": {"name": "sequences", "shape": [None, 9, 5]}}, "is not that of its parts"),
        ({"parts": {"face": [18, 5]}}, "parts and engines must be of the same modalities"),
        ({"parts": {}, "engines": {}}, "engine.json is damaged: multilabel.engines: "),
        ({"parts": {**PARTS, "text": [0, 3]}}, "engine.json is damaged: multilabel.parts.text"),
        ({"experimental": False}, "engine.json is damaged: multilabel.experimental: "),
        ({"files": {}}, "no checksum of model.onnx and reference.npz"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(
    bundle: Path, entries: dict[str, object], said: str
) -> None:
    change(bundle, **entries)
    assert said in refusal(bundle)


def test_a_changed_network_is_refused(bundle: Path) -> None:
    model = bundle / "model.onnx"
    model.write_bytes(model.read_bytes()[:-10])
    assert "model.onnx was changed or cut short" in refusal(bundle)


def test_a_network_of_other_outputs_is_refused(bundle: Path, tmp_path: Path) -> None:
    other = write_bundle(tmp_path / "face") / "model.onnx"
    (bundle / "model.onnx").write_bytes(other.read_bytes())
    change(bundle, files={n: sha256(bundle / n) for n in ("model.onnx", "reference.npz")})
    assert "gives embedding ['B', 4], evidence ['B', 7], not what its manifest" in refusal(bundle)


def test_a_network_of_fewer_emotions_is_refused(bundle: Path) -> None:
    model = onnx.load(bundle / "model.onnx")
    (weight,) = (w for w in model.graph.initializer if w.name == "to_score")
    weight.CopyFrom(onnx.numpy_helper.from_array(np.ones((4, 6), np.float32), "to_score"))
    (bias,) = (w for w in model.graph.initializer if w.name == "bias")
    bias.CopyFrom(onnx.numpy_helper.from_array(np.zeros(6, np.float32), "bias"))
    for output in model.graph.output:
        output.type.tensor_type.shape.dim[1].dim_value = 6
    onnx.save(model, bundle / "model.onnx")
    change(bundle, files={n: sha256(bundle / n) for n in ("model.onnx", "reference.npz")})
    assert "probability ['B', 6], spread ['B', 6], not what its manifest" in refusal(bundle)


def test_verify_agrees_with_the_reference_and_refuses_others(
    bundle: Path, tmp_path: Path, engine: MultilabelEngine
) -> None:
    result = verify(engine)
    assert (result.inputs, result.largest_difference < 1e-5) == (5, True)
    moved = write_multilabel(tmp_path / "moved", bias=0.05) / "model.onnx"
    (bundle / "model.onnx").write_bytes(moved.read_bytes())
    change(bundle, files={n: sha256(bundle / n) for n in ("model.onnx", "reference.npz")})
    with pytest.raises(BrokenBundleError, match=r"its opinions differ by 0\.05"):
        verify(open_engine(bundle, "multilabel"))


def test_a_reference_without_its_answers_is_damaged(bundle: Path) -> None:
    np.savez(bundle / "reference.npz", inputs=np.zeros((1, 18, 5), np.float32))
    change(bundle, files={n: sha256(bundle / n) for n in ("model.onnx", "reference.npz")})
    with pytest.raises(BrokenBundleError, match=r"reference\.npz is damaged"):
        verify(open_engine(bundle, "multilabel"))
