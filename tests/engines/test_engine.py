"""Opening bundles: what is whole opens, what is not is refused in one sentence."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from engines.engine import BUNDLES, Engine, EngineContractError, open_engine
from engines.labels import EMOTIONS, UnknownLabelError, emotion_named
from engines.manifest import BrokenBundleError, sha256
from engines.opinion import Opinion
from engines.runtime import Batch, Outputs
from engines.verify import verify
from engines.window import FaceWindow, TextWindow, VoiceWindow
from tests.engines.bundle import write_bundle

CROPS = np.random.default_rng(2).integers(0, 255, (3, 48, 48)).astype(np.uint8)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "tiny")


def change(bundle: Path, **entries: object) -> None:
    path = bundle / "engine.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


def checksums(bundle: Path) -> dict[str, str]:
    return {name: sha256(bundle / name) for name in ("model.onnx", "reference.npz")}


def refusal(bundle: Path) -> str:
    with pytest.raises((BrokenBundleError, EngineContractError)) as caught:
        open_engine(bundle)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_judge_averages_the_rows_of_a_window(bundle: Path) -> None:
    engine = open_engine(bundle)
    one = [engine.judge(FaceWindow(0, 1, crop[None])) for crop in CROPS]
    together = engine.judge(FaceWindow(0, 1, CROPS))
    expected = Opinion.from_evidence(np.mean([o.evidence for o in one], axis=0))
    assert together.belief == pytest.approx(expected.belief, abs=1e-6)
    assert together.belief.shape == (len(EMOTIONS),)


def test_judge_says_the_same_again(bundle: Path) -> None:
    window = FaceWindow(0, 1, CROPS)
    first, second = open_engine(bundle).judge(window), open_engine(bundle).judge(window)
    np.testing.assert_array_equal(first.belief, second.belief)


def test_hash_covers_every_file(bundle: Path, tmp_path: Path) -> None:
    other = write_bundle(tmp_path / "other", name="other")
    assert open_engine(bundle).hash == open_engine(write_bundle(tmp_path / "same")).hash
    assert open_engine(bundle).hash != open_engine(other).hash


def test_open_engine_refuses_a_folder_without_manifest(tmp_path: Path) -> None:
    assert "no readable engine.json" in refusal(tmp_path)
    assert "no readable engine.json" in refusal(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"kind": "nose"}', '{"kind": "face"}', "\x00\xff"]
)
def test_open_engine_refuses_a_damaged_manifest(bundle: Path, text: str) -> None:
    (bundle / "engine.json").write_text(text, encoding="latin-1")
    assert "engine.json is damaged" in refusal(bundle)


def test_open_engine_refuses_a_changed_file(bundle: Path) -> None:
    model = bundle / "model.onnx"
    model.write_bytes(model.read_bytes()[:-100])
    assert "model.onnx was changed or cut short" in refusal(bundle)


def test_open_engine_refuses_a_missing_file(bundle: Path) -> None:
    (bundle / "model.onnx").unlink()
    assert "model.onnx is missing" in refusal(bundle)


def test_open_engine_refuses_a_network_that_does_not_load(bundle: Path) -> None:
    (bundle / "model.onnx").write_bytes(b"no network")
    change(bundle, files=checksums(bundle))
    assert "does not load" in refusal(bundle)


def test_open_engine_refuses_files_outside_the_bundle(bundle: Path) -> None:
    change(bundle, files={**checksums(bundle), "../../etc/passwd": "0" * 64})
    assert "damaged" in refusal(bundle)


def test_open_engine_refuses_an_unchecked_network(bundle: Path) -> None:
    change(bundle, files={})
    assert "no checksum of model.onnx and reference.npz" in refusal(bundle)


def test_open_engine_refuses_another_kind(bundle: Path) -> None:
    with pytest.raises(BrokenBundleError, match="this is a face bundle, where voice is wanted"):
        open_engine(bundle, "voice")


def test_open_engine_refuses_a_network_of_other_inputs(bundle: Path) -> None:
    change(bundle, input={"name": "crops", "shape": [None, 1, 64, 300]})
    assert "not what its manifest says" in refusal(bundle)


def test_open_engine_refuses_a_manifest_without_end(bundle: Path) -> None:
    (bundle / "engine.json").write_text("[" * 200_000)
    assert "engine.json is damaged" in refusal(bundle)


def test_verify_refuses_a_reference_that_cannot_be_read(bundle: Path) -> None:
    (bundle / "reference.npz").write_bytes(b"no archive")
    change(bundle, files=checksums(bundle))
    with pytest.raises(BrokenBundleError, match=r"reference\.npz is damaged"):
        verify(open_engine(bundle))


def test_open_engine_refuses_other_preprocessing(bundle: Path) -> None:
    change(bundle, preprocessing="face-0")
    said = refusal(bundle)
    assert "built for preprocessing face-0, this code runs face-1" in said
    assert "credence-train export" in said


def test_open_engine_refuses_other_labels(bundle: Path) -> None:
    change(bundle, labels=["calm", *EMOTIONS[1:]])
    assert "built for labels calm" in refusal(bundle)


def test_verify_agrees_with_the_reference(bundle: Path) -> None:
    result = verify(open_engine(bundle))
    assert result.inputs == 5
    assert result.largest_difference < 1e-5


def test_verify_refuses_a_runtime_that_computes_something_else(bundle: Path) -> None:
    good = open_engine(bundle)

    class Wrong:
        name = "wrong"
        batches = False

        def __call__(self, batch: Batch) -> Outputs:
            made = good.runtime(batch)
            return {**made, "evidence": made["evidence"] + 1}

    with pytest.raises(BrokenBundleError, match="opinions differ"):
        verify(Engine(good.path, good.manifest, good.hash, Wrong()))


def test_windows_judged_together_are_judged_as_alone(bundle: Path) -> None:
    engine, random = open_engine(bundle), np.random.default_rng(1)
    windows = [
        FaceWindow(0.0, 1.0, random.integers(0, 255, (n, 48, 48), np.uint8)) for n in (1, 3, 2)
    ]
    together = engine.judge_all(windows)
    for opinion, window in zip(together, windows, strict=True):
        np.testing.assert_allclose(opinion.evidence, engine.judge(window).evidence, rtol=1e-5)
    assert engine.judge_all([]) == []


def engines(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "engines.cli", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_cli_lists_and_verifies(bundle: Path) -> None:
    assert "Apache-2.0" in engines("list", bundle.parent).stdout
    assert engines("verify", bundle).stdout.startswith("tiny ")
    assert json.loads(engines("inspect", bundle).stdout)["labels"] == list(EMOTIONS)


def test_cli_refuses_in_one_sentence(tmp_path: Path) -> None:
    done = engines("verify", tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("credence-engines: ")
    assert len(done.stderr.splitlines()) == 1


def test_cli_says_what_is_shipped_and_that_a_folder_holds_no_engine(tmp_path: Path) -> None:
    assert (
        "one that is shipped: face, multilabel, policy, text, voice\n"
        in engines("inspect", "fase").stderr
    )
    done = engines("list", tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no engine in this folder" in done.stderr


@pytest.mark.parametrize(
    ("label", "emotion"), [("Angry", "anger"), (" joy ", "happiness"), ("neutral", "neutral")]
)
def test_emotion_named_knows_other_words(label: str, emotion: str) -> None:
    assert emotion_named(label) == emotion


def test_emotion_named_refuses_with_what_is_known() -> None:
    with pytest.raises(UnknownLabelError, match="use one of anger, disgust"):
        emotion_named("calm")


def test_answers_tell_what_was_seen_along_time(bundle: Path) -> None:
    crops = np.random.default_rng(2).integers(0, 255, (5, 48, 48)).astype(np.uint8)
    face = open_engine(BUNDLES / "face").answers([FaceWindow(0.0, 2.0, crops)])[0]
    assert face.sequence.shape == (5, 160)
    hum = np.sin(np.arange(64_000) / 9).astype(np.float32)
    voice = open_engine(BUNDLES / "voice").answers([VoiceWindow(0.0, hum)])[0]
    assert voice.sequence.shape == (2 * 19, 128)
    said = [TextWindow(0.0, 1.0, text) for text in ("What a lovely day!", "", "no " * 60)]
    texts = open_engine(BUNDLES / "text").answers(said)
    assert [answer.sequence.shape for answer in texts] == [(5, 192), (0, 192), (60, 192)]
    older = open_engine(bundle).answers([FaceWindow(0.0, 2.0, crops)])[0]
    assert older.sequence.shape[0] == 5
