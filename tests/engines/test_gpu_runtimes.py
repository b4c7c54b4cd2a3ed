"""What a GPU will run, as far as a machine without one can try it: on torch's CPU, and built."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from engines.engine import BUNDLES, engine_manifest
from engines.errors import CredenceError
from engines.gpu import gpus
from engines.job import Job, Precision, UnsupportedError
from engines.manifest import MODEL, Kind
from engines.parity import TOLERANCE, apart, inputs_for, reference_of
from engines.runtime import INNER, Batch, Outputs, in_parts
from engines.runtime.onnx import OnnxCpu
from tests.engines.bundle import write_bundle

needs_torch = pytest.mark.skipif(not find_spec("torch"), reason="torch is not installed")
needs_rtx = pytest.mark.skipif(
    not find_spec("tensorrt_rtx"), reason="tensorrt-rtx is not installed (extra tensorrt-rtx)"
)
KINDS: tuple[Kind, ...] = ("face", "voice", "text", "multilabel")
HALVES: tuple[Kind, ...] = ("face", "text", "multilabel")  # of the voice, torch takes 20 s on a CPU


def job_of(kind: Kind, precision: Precision, folder: Path, **more: object) -> Job:
    bundle = BUNDLES / kind
    manifest, _ = engine_manifest(bundle)
    shape, given = manifest.input.shape, manifest.given
    return Job(bundle, shape, precision, 4, None, folder, given=given, **more)  # type: ignore[arg-type]


def inputs_of(bundle: Path) -> Batch:
    manifest, _ = engine_manifest(bundle)
    return inputs_for(reference_of(bundle).inputs, parts=manifest.parts)


@needs_torch
@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("kind", "precision"), [*((k, "fp32") for k in KINDS), *((k, "fp16") for k in HALVES)]
)
def test_the_program_says_what_the_portable_model_says(
    kind: Kind, precision: Precision, tmp_path: Path
) -> None:
    from engines.runtime import cuda

    job = job_of(kind, precision, tmp_path)
    cuda.make(job)
    runtime = cuda.load(job)
    inputs = inputs_of(job.bundle)[:11]  # 4 + 4 + 3: full, and padded
    found = runtime(inputs)
    expected = OnnxCpu(job.bundle / MODEL, job.shape, job.given)(inputs)
    assert apart(found, expected) < TOLERANCE[precision]
    assert {n: made.shape for n, made in found.items()} == {
        n: made.shape for n, made in expected.items()
    }
    for name in found.keys() & {*INNER}:
        scale = np.abs(expected[name]).max()
        assert np.abs(found[name] - expected[name]).max() < 2 * TOLERANCE[precision] * scale
    name = job.given[0]
    assert runtime(inputs[:1])[name][0] == pytest.approx(found[name][0], rel=1e-2, abs=1e-2)
    assert (runtime.name, runtime.batches) == (f"torch cpu {precision}", True)


@needs_torch
@pytest.mark.timeout(60)
def test_a_network_is_prepared_with_cudnn_and_without_tf32(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch.backends import cudnn

    from engines.runtime import cuda

    seen: list[tuple[bool, bool]] = []
    monkeypatch.setattr(cuda, "Cuda", lambda *_: seen.append((cudnn.enabled, cudnn.allow_tf32)))
    cuda.load(job_of("text", "fp32", tmp_path))
    assert seen == [(True, False)]


@needs_torch
@pytest.mark.timeout(60)
def test_tensorrt_is_given_a_program_with_a_half_body_and_a_single_head(tmp_path: Path) -> None:
    import torch

    from engines.runtime import cuda

    program = cuda.program_of(job_of("text", "fp16", tmp_path), torch.device("cpu"))
    kinds = {
        str(node.target): node.meta["val"].dtype
        for node in program.graph.nodes
        if isinstance(node.meta.get("val"), torch.Tensor)
    }
    assert kinds["aten.convolution.default"] == torch.float16
    assert kinds["aten.log.default"] == torch.float32
    assert not any("_packed" in name or "parametrizations" in name for name in program.state_dict)


@needs_torch
def test_a_bundle_without_a_program_is_unsupported(tmp_path: Path) -> None:
    from engines.runtime import cuda

    bundle = write_bundle(tmp_path / "tiny")
    with pytest.raises(UnsupportedError, match=r"the bundle has no program\.pt2; export it again"):
        cuda.make(Job(bundle, (None, 1, 48, 48), "fp32", 4, None, tmp_path))


@needs_rtx
@needs_torch
@pytest.mark.timeout(60)
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
@pytest.mark.parametrize("kind", KINDS)
def test_tensorrt_rtx_builds_engines(kind: Kind, precision: Precision, tmp_path: Path) -> None:
    from engines.runtime import tensorrt_rtx

    rows = inputs_of(BUNDLES / kind)[:32]
    job = job_of(kind, precision, tmp_path, calibration=rows)
    tensorrt_rtx.make(job)
    assert (tmp_path / "network.engine").stat().st_size > 2_000_000
    if not gpus():
        with pytest.raises((RuntimeError, AssertionError, ValueError)):
            tensorrt_rtx.load(job)


@needs_rtx
@needs_torch
def test_tensorrt_rtx_refuses_what_it_cannot_read(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    from engines.runtime import tensorrt_rtx

    model = onnx.load(write_bundle(tmp_path / "tiny") / MODEL)
    model.graph.node[2].op_type = "Unique"
    job = Job(tmp_path, (None, 1, 48, 48), "fp32", 4, None, tmp_path)
    for given in (model.SerializeToString(), b"no network"):
        with pytest.raises(CredenceError, match=r"TensorRT cannot (read|build) it: "):
            tensorrt_rtx.built(given, job)


def test_in_parts_keeps_order() -> None:
    sizes = []

    def run(batch: Batch) -> Outputs:
        sizes.append(len(batch))
        return {"evidence": batch.astype(np.float32), "sequence": batch[:, None] * np.float32(2)}

    rows = np.arange(11, dtype=np.float32)[:, None]
    made = in_parts(run, rows, 4)
    np.testing.assert_array_equal(made["evidence"], rows)
    np.testing.assert_array_equal(made["sequence"], rows[:, None] * 2)
    assert sizes == [4, 4, 3]
