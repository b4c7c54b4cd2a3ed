"""Parity, precision and the command that builds: what a plan must prove before it is used."""

import json
import logging
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from engines import plans, targets
from engines.engine import BUNDLES, engine_manifest, open_engine
from engines.errors import CredenceError
from engines.job import Job, Precision
from engines.manifest import (
    MODEL,
    REFERENCE,
    BrokenBundleError,
    Kind,
    Modality,
)
from engines.opinion import Opinion
from engines.parity import INPUTS, Parity, compare, inputs_for, reference_of
from engines.preprocess import text
from engines.runtime.onnx import OnnxCpu
from engines.verdict import UNCERTIFIED
from engines.window import FaceWindow
from tests.engines.plans import built, opened

pytestmark = pytest.mark.usefixtures("cache")

needs_openvino = pytest.mark.skipif(not find_spec("openvino"), reason="openvino is not installed")


@pytest.mark.parametrize(
    ("target", "precision", "said"),
    [
        ("coreml", "fp32", "'coreml' is no target; there are tensorrt, "),
        ("openvino", "fp16", "openvino has no fp16, only fp32, int8"),
    ],
)
def test_build_refuses_what_there_is_not(
    bundle: Path, target: str, precision: Precision, said: str
) -> None:
    with pytest.raises(CredenceError, match=said):
        built(bundle, target, precision=precision)


def test_build_names_the_extra_of_an_absent_package(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(package: str) -> str:
        if package == "openvino":
            raise PackageNotFoundError(package)
        return "1.0"

    monkeypatch.setattr(targets, "version", absent)
    with pytest.raises(CredenceError, match=r"openvino needs openvino; .* '\.\[openvino\]'"):
        built(bundle, "openvino", precision="fp32")


@needs_openvino
@pytest.mark.parametrize("kind", ["face", "voice", "text", "multilabel"])
def test_openvino_says_what_onnx_runtime_says(kind: Kind) -> None:
    from engines.runtime import openvino

    folder = BUNDLES / kind
    manifest, _ = engine_manifest(folder)
    shape, given = manifest.input.shape, manifest.given
    job = Job(folder, shape, "fp32", 8, None, plans.root(), given=given)
    job.folder.mkdir(parents=True)
    openvino.make(job)
    portable = OnnxCpu(folder / MODEL, shape, given)
    inputs = inputs_for(reference_of(folder).inputs, parts=manifest.parts)[:40]
    parity = compare(
        openvino.load(job), portable, inputs, "fp32", manifest=manifest, policy=UNCERTIFIED, most=8
    )
    assert (parity.refusal, parity.equal) == ("", 1.0)
    assert parity.largest_difference < 1e-4


@needs_openvino
def test_a_cpu_uses_what_was_built_and_builds_nothing(bundle: Path) -> None:
    assert opened(bundle, "cpu").runtime.name == "onnxruntime cpu"
    plan = built(bundle, "openvino", precision="fp32")
    engine = opened(bundle, "cpu")
    assert (engine.runtime.name, plan.refused) == ("openvino cpu fp32", "")
    assert open_engine(bundle).runtime.name == "onnxruntime cpu"
    record = plans.place(plan.key) / plans.RECORD
    foreign = json.loads(record.read_text())
    foreign["key"]["machine"] = "arm64 another"
    record.write_text(json.dumps(foreign))
    said = opened(bundle, "cpu").choice
    record.write_text(plan.model_dump_json())
    model = record.parent / MODEL
    model.write_bytes(model.read_bytes()[:-1])
    assert "model.onnx was changed or cut short; build" in opened(bundle, "cpu").choice
    record.write_text('{"format":')
    damaged = opened(bundle, "cpu")
    assert "plan.json is damaged; delete the folder, or build the plan again" in damaged.choice
    assert (damaged.lacking, engine.lacking) == (True, False)
    assert "openvino: its plan was built for arm64 another or other versions" in said
    assert said.startswith("onnxruntime cpu; not better: ")


def test_int8_needs_data_and_is_calibrated_on_it(bundle: Path) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed")
    told: list[str] = []
    with pytest.raises(CredenceError, match="name them with --data"):
        built(bundle, "onnx", precision="int8", tell=told.append)
    few = np.zeros((31, 1, 48, 48), np.float32)
    with pytest.raises(CredenceError, match="on 32 inputs or more, here are 31"):
        built(bundle, "onnx", precision="int8", data=few, tell=told.append)
    assert not told
    rows = np.random.default_rng(3).normal(size=(64, 1, 48, 48)).astype(np.float32)
    plan = built(bundle, "onnx", precision="int8", data=rows)
    assert plan.parity is not None
    assert plan.parity.inputs == INPUTS + len(rows)
    assert plan.parity.largest_difference > 1e-6  # it is another network
    assert plan.key.data


def test_the_package_that_int8_needs_is_named_before_anything_is_built(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(package: str) -> str:
        if package == "onnx":
            raise PackageNotFoundError(package)
        return "1.0"

    monkeypatch.setattr(targets, "version", absent)
    told: list[str] = []
    rows = np.zeros((32, 1, 48, 48), np.float32)
    with pytest.raises(CredenceError, match="int8 needs the package onnx; pip install onnx"):
        built(bundle, "onnx", precision="int8", data=rows, tell=told.append)
    assert not told


def test_only_the_quantiser_is_kept_from_talking(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed")
    from onnxruntime import quantization

    quantize = quantization.quantize_static

    def talking(*given: object, **more: object) -> None:
        logging.warning("somebody else speaks")
        quantize(*given, **more)

    monkeypatch.setattr(quantization, "quantize_static", talking)
    rows = np.random.default_rng(3).normal(size=(32, 1, 48, 48)).astype(np.float32)
    built(bundle, "onnx", precision="int8", data=rows)
    assert [record.message for record in caplog.records] == ["somebody else speaks"]


def test_a_damaged_reference_is_named_in_our_words(bundle: Path) -> None:
    for damage in (b"no archive", b"PK\x03\x04 cut short", b""):
        (bundle / REFERENCE).write_bytes(damage)
        with pytest.raises(BrokenBundleError) as error:
            reference_of(bundle)
        assert error.value.problem.startswith("reference.npz is damaged; copy the bundle again")


@needs_openvino
def test_threads_do_not_disturb_each_other_in_openvino(bundle: Path, tmp_path: Path) -> None:
    from engines.runtime import openvino

    job = Job(bundle, (None, 1, 48, 48), "fp32", 4, None, tmp_path / "plan")
    job.folder.mkdir()
    openvino.make(job)
    network = openvino.load(job)
    rows = np.random.default_rng(4).normal(size=(200, 1, 48, 48)).astype(np.float32)
    expected = OnnxCpu(bundle / MODEL, job.shape)(rows)["evidence"]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda row: network(row[None])["evidence"][0], rows))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", ["face", "voice", "text"])
def test_half_precision_of_the_body_is_close(kind: Modality, tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed")
    from engines.precision import rewritten

    folder = BUNDLES / kind
    manifest, _ = engine_manifest(folder)
    half = rewritten(Job(folder, manifest.input.shape, "fp16", 8, None, tmp_path))
    (tmp_path / MODEL).write_bytes(half)
    inputs = inputs_for(reference_of(folder).inputs)[:12]
    single = OnnxCpu(folder / MODEL, manifest.input.shape)(inputs)
    found = OnnxCpu(tmp_path / MODEL, manifest.input.shape)(inputs)
    beliefs = [Opinion.from_evidence(each["evidence"]).belief for each in (single, found)]
    assert 0 < np.abs(beliefs[0] - beliefs[1]).max() < 1e-2
    assert len(half) < (folder / MODEL).stat().st_size * 5


def test_variations_differ_and_repeat() -> None:
    for kind in ("face", "text"):
        reference = reference_of(BUNDLES / kind).inputs
        varied = inputs_for(reference)
        assert varied.shape == (INPUTS, *reference.shape[1:])
        assert varied.dtype == reference.dtype
        assert len(np.unique(varied.reshape(INPUTS, -1), axis=0)) > INPUTS * 0.99
        np.testing.assert_array_equal(varied, inputs_for(reference))
    assert varied.max() < text.BUCKETS


@pytest.mark.parametrize(
    ("difference", "equal", "said"),
    [
        (1e-4, 1.0, ""),
        (1e-4, 1023 / 1024, ""),
        (1e-4, 1022 / 1024, "only 99.80% of its verdicts are ONNX Runtime's, less than 99.9%"),
        (2e-3, 1.0, "its opinions differ by up to 0.002 from ONNX Runtime's, more than 0.001"),
        (float("nan"), 1.0, "its opinions differ by up to nan"),
    ],
)
def test_parity_refuses_other_opinions_and_other_verdicts(
    difference: float, equal: float, said: str
) -> None:
    parity = Parity(
        inputs=1024, largest_difference=difference, tolerance=1e-3, equal=equal, policy="none"
    )
    assert parity.refusal.startswith(said)
    assert bool(parity.refusal) == bool(said)


def test_judge_all_is_judge_of_each(bundle: Path) -> None:
    engine, random = open_engine(bundle), np.random.default_rng(5)
    windows = [
        FaceWindow(0, 1, random.integers(0, 255, (n, 48, 48)).astype(np.uint8)) for n in (1, 4, 2)
    ]
    together = engine.judge_all(windows)
    assert len(together) == 3
    for window, opinion in zip(windows, together, strict=True):
        assert opinion.belief == pytest.approx(engine.judge(window).belief, abs=1e-6)
    assert engine.judge_all([]) == []


def cli(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "engines.cli", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@needs_openvino
def test_cli_builds_a_plan_and_says_what_it_will_run(bundle: Path, cache: Path) -> None:
    done = cli("build", bundle, "--target", "openvino", "--max-batch", "4")
    assert done.returncode == 0, done.stderr
    assert "building the face engine for openvino fp32" in done.stderr
    assert str(cache / "face-openvino-fp32-") in done.stdout
    assert "100.00% of verdicts equal on 1,024 inputs" in done.stdout
    said = cli("verify", bundle, "--device", "cpu").stdout.splitlines()
    assert said[1].startswith("tiny: runs on openvino cpu fp32 (100.00% of verdicts equal")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--target", "coreml"), "'coreml' is no target; there are tensorrt, tensorrt-rtx, cuda,"),
        (("--target", "onnx"), "int8 is calibrated on your own inputs; name them with --data"),
        (("--target", "onnx", "--data", "nowhere"), "nowhere: there is no such folder"),
        (("--target", "cuda", "--device", "tpu"), "must be auto, cpu, cuda or cuda:N"),
    ],
)
def test_cli_refuses_in_one_sentence(bundle: Path, words: tuple[str, ...], said: str) -> None:
    done = cli("build", bundle, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
