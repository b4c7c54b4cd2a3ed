"""Plans: built by real libraries, used only if they say the same, and never in the way."""

import threading
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest

from engines import build as building
from engines import gpu, plans, targets
from engines.engine import engine_manifest, open_engine
from engines.errors import CredenceError
from engines.gpu import Gpu
from engines.job import Job, UnsupportedError
from engines.plans import Plan, PlanError
from engines.runtime import Batch, Outputs
from engines.window import FaceWindow
from tests.engines.plans import built, opened

pytestmark = pytest.mark.usefixtures("cache")

H200 = Gpu(0, "NVIDIA H200", "9.0", "580.1")


class Fake:
    """A runtime that scales what the portable one says; a GPU's, for all that anyone can tell."""

    name = "fake gpu"
    batches = True

    def __init__(self, bundle: Path, scale: float = 1.0) -> None:
        self._portable = open_engine(bundle).runtime
        self.scale, self.calls, self.error = scale, 0, None

    scale: float
    error: Exception | None

    def __call__(self, batch: Batch) -> Outputs:
        self.calls += 1
        if self.error:
            raise self.error
        made = self._portable(batch)
        return {**made, "evidence": made["evidence"] * np.float32(self.scale)}


class FakeBackend:
    """Stands for the libraries of a GPU."""

    def __init__(self, runtime: Fake) -> None:
        self.runtime, self.made = runtime, 0
        self.failure: Exception | None = None

    def make(self, job: Job) -> None:
        self.made += 1
        if self.failure:
            raise self.failure
        (job.folder / "network.engine").write_bytes(b"engine" * 100)

    def load(self, job: Job) -> Fake:
        return self.runtime


@pytest.fixture
def backend(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> FakeBackend:
    """A machine with one GPU, and of all libraries for it only TensorRT for RTX."""
    made = FakeBackend(Fake(bundle))

    def version(package: str) -> str:
        if package == "torch-tensorrt":
            raise PackageNotFoundError(package)
        return "1.0"

    monkeypatch.setattr(gpu, "gpus", lambda: (H200,))
    monkeypatch.setattr(targets, "version", version)
    monkeypatch.setattr(targets.Target, "backend", lambda _: made)
    return made


def test_a_plan_is_built_at_first_use_and_then_taken_from_the_cache(
    bundle: Path, backend: FakeBackend
) -> None:
    told: list[str] = []
    first = open_engine(bundle, device="auto", tell=told.append)
    assert told[0] == "building the face engine for tensorrt-rtx fp16; this is done once"
    assert first.choice.startswith("fake gpu (100.00% of verdicts equal on 1,024 inputs")
    assert "tensorrt needs torch-tensorrt; in Credence's clone:" in first.choice
    assert "pip install -e '.[tensorrt]'" in first.choice
    assert first.runtime.batches
    again = open_engine(bundle, device="cuda:0", tell=told.append)
    assert (again.choice, backend.made, len(told)) == (first.choice, 1, 2)


def test_a_plan_that_says_something_else_is_refused_once(
    bundle: Path, backend: FakeBackend
) -> None:
    backend.runtime.scale = 1.2
    for _ in range(2):
        engine = opened(bundle)
        assert engine.runtime.name == "onnxruntime cpu"
        assert "its opinions differ by up to" in engine.choice
    assert backend.made == 4  # once in each precision, by the two targets that are installed
    plan = built(bundle)
    assert plan.parity is not None
    assert plan.parity.refusal == plan.refused
    assert backend.made == 4
    assert not plan.files
    backend.runtime.scale = 1.0
    assert not built(bundle, again=True).refused


def test_a_plan_that_gives_nonsense_is_refused_once(bundle: Path, backend: FakeBackend) -> None:
    backend.runtime.scale = float("nan")
    for _ in range(2):
        assert "its opinions differ by up to nan from ONNX Runtime's" in opened(bundle).choice
    assert backend.made == 4


def test_an_unsupported_operator_is_remembered_and_the_next_best_runs(
    bundle: Path, backend: FakeBackend
) -> None:
    backend.failure = UnsupportedError("TensorRT cannot read it: no importer for TopK")
    for _ in range(2):
        assert "fp16: TensorRT cannot read it: no importer for TopK" in opened(bundle).choice
    assert backend.made == 4


def test_what_a_library_raises_is_a_sentence_and_not_remembered(
    bundle: Path, backend: FakeBackend
) -> None:
    backend.failure = RuntimeError("CUDA out of memory.\nmore")
    for made in (2, 4):  # one precision of each target: another would fail alike
        engine = opened(bundle)
        assert "cannot be built for tensorrt-rtx: CUDA out of memory" in engine.choice
        assert engine.runtime.name == "onnxruntime cpu"
        assert backend.made == made


@pytest.mark.parametrize(
    "problem", ["CUDA error: device lost", "CUDA out of memory. Tried to allocate 2.00 MiB"]
)
def test_a_gpu_that_is_lost_costs_no_window(
    bundle: Path, backend: FakeBackend, problem: str
) -> None:
    told: list[str] = []
    engine, portable = opened(bundle, told=told), open_engine(bundle)
    window = FaceWindow(0, 1, np.tile(np.arange(48, dtype=np.uint8), (2, 48, 1)))
    assert engine.runtime.name == "fake gpu"
    backend.runtime.error = RuntimeError(f"{problem}\nand more")
    calls = backend.runtime.calls
    for _ in range(3):
        found = engine.judge(window)
        np.testing.assert_array_equal(found.belief, portable.judge(window).belief)
    assert told == [f"fake gpu is lost ({problem}); onnxruntime cpu goes on, start again"]
    assert (backend.runtime.calls, engine.runtime.name) == (calls + 1, "onnxruntime cpu")
    assert not engine.runtime.batches


def test_a_gpu_that_gives_nonsense_is_lost(bundle: Path, backend: FakeBackend) -> None:
    told: list[str] = []
    engine = opened(bundle, told=told)
    backend.runtime.scale = float("nan")
    window = FaceWindow(0, 1, np.ones((1, 48, 48), np.uint8))
    assert np.isfinite(engine.judge(window).belief).all()
    assert "it gives nonsense" in told[0]


def test_a_truncated_plan_is_built_again(bundle: Path, backend: FakeBackend) -> None:
    file = plans.place(built(bundle).key) / "network.engine"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(PlanError, match=r"network\.engine was changed or cut short"):
        plans.read(file.parent)
    assert opened(bundle).runtime.name == "fake gpu"
    assert backend.made == 2
    (file.parent / plans.RECORD).write_text('{"format":')
    assert opened(bundle).runtime.name == "fake gpu"
    assert backend.made == 3


def test_a_plan_of_another_gpu_or_driver_is_not_used(
    bundle: Path, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(bundle)
    monkeypatch.setattr(gpu, "gpus", lambda: (Gpu(0, "NVIDIA L4", "8.9", "580.1"),))
    opened(bundle)
    monkeypatch.setattr(gpu, "gpus", lambda: (Gpu(0, "NVIDIA L4", "8.9", "590.1"),))
    opened(bundle)
    assert backend.made == 3


def test_a_cache_that_cannot_be_written_leaves_the_portable_engine(
    bundle: Path, backend: FakeBackend, cache: Path
) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_text("in the way")
    engine = opened(bundle)
    assert engine.runtime.name == "onnxruntime cpu"
    assert f"{cache} cannot be written (" in engine.choice
    assert "XDG_CACHE_HOME" in engine.choice
    with pytest.raises(PlanError, match="cannot be written"):
        built(bundle)


def test_a_cache_without_locks_leaves_the_portable_engine(
    bundle: Path, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("engines.plans.fcntl.flock", no_locks)
    assert "cannot be written (No locks available)" in opened(bundle).choice


def test_a_plan_that_cannot_be_read_is_built_again(bundle: Path, backend: FakeBackend) -> None:
    file = plans.place(built(bundle).key) / "network.engine"
    file.unlink()
    file.mkdir()
    assert opened(bundle).runtime.name == "fake gpu"
    assert backend.made == 2


def test_a_disk_that_fills_up_leaves_nothing_half_made(
    bundle: Path, backend: FakeBackend, cache: Path
) -> None:
    backend.failure = OSError(28, "No space left on device")
    with pytest.raises(PlanError, match="No space left on device"):
        built(bundle)
    assert not [path for path in cache.iterdir() if path.is_dir()]


def test_the_second_of_two_waits_and_takes_what_the_first_built(
    bundle: Path, backend: FakeBackend
) -> None:
    manifest, digest = engine_manifest(bundle)
    key = building.key_of(
        digest, manifest, targets.TARGETS["tensorrt-rtx"], "fp16", max_batch=32, gpu=H200
    )
    waits, told = threading.Event(), []

    def tell(sentence: str) -> None:
        told.append(sentence)
        waits.set()

    taken: list[Plan] = []
    second = threading.Thread(target=lambda: taken.append(built(bundle, tell=tell)))
    with plans.locked(key, lambda: None):
        second.start()
        assert waits.wait(5)
        with plans.making(key) as made:
            (made / "network.engine").write_bytes(b"of the first")
            first = plans.put(made, Plan(key=key))
    second.join(5)
    assert told == ["waiting: another process builds the face engine for tensorrt-rtx fp16"]
    assert (taken, backend.made) == ([first], 0)


def test_what_killed_builds_have_left_is_deleted(
    bundle: Path, backend: FakeBackend, cache: Path
) -> None:
    manifest, digest = engine_manifest(bundle)
    target = targets.TARGETS["tensorrt-rtx"]
    running = building.key_of(digest, manifest, target, "fp32", max_batch=32, gpu=H200)
    own = building.key_of(digest, manifest, target, "fp16", max_batch=32, gpu=H200)
    with plans.locked(running, lambda: None):
        alive = cache / f".making-{running.name}-1"
        others = ("face-cuda-fp16-0123456789abcdef", own.name)
        for left in (alive, *(cache / f".making-{name}-1" for name in others)):
            left.mkdir()
            (left / "network.engine").write_bytes(b"half")
        with plans.locked(own, lambda: None), plans.making(own) as made:
            assert {path.name for path in cache.glob(".making-*")} == {alive.name, made.name}
    assert [path.name for path in cache.glob(".making-*")] == [alive.name]


def test_what_is_in_the_way_is_named_before_anything_is_built(
    bundle: Path, backend: FakeBackend
) -> None:
    there = plans.place(built(bundle).key)
    for path in there.iterdir():
        path.unlink()
    there.rmdir()
    there.write_text("")
    told: list[str] = []
    with pytest.raises(PlanError, match=f"^{there} is in the way of a plan, and is no folder"):
        built(bundle, tell=told.append)
    assert (backend.made, told) == (1, [])


@pytest.mark.parametrize(
    ("target", "device", "said"),
    [
        ("cuda", "cpu", "cuda runs on a GPU; on the CPU there are openvino, onnx"),
        ("openvino", "cuda:0", "openvino runs on the CPU; on a GPU there are tensorrt, "),
    ],
)
def test_a_target_is_not_built_for_what_it_does_not_run_on(
    bundle: Path, backend: FakeBackend, target: str, device: str, said: str
) -> None:
    with pytest.raises(CredenceError, match=said):
        built(bundle, target, precision="fp32", device=device)
    with pytest.raises(CredenceError, match="cpu is no GPU"):
        gpu.gpu_named("cpu")


def test_onnx_counts_where_it_rewrote_the_network(
    bundle: Path, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    half, single = built(bundle).key, built(bundle, precision="fp32").key
    assert (half.rewriter, single.rewriter) == ("1.0", "")
    assert built(bundle, "cuda").key.rewriter == ""
    monkeypatch.setattr(targets, "version", lambda p: "2.0" if p == "onnx" else "1.0")
    assert built(bundle).key.name != half.name
    assert half.fits(built(bundle).key)  # what was built before is as good as it was


def test_without_a_driver_the_portable_engine_says_so(bundle: Path) -> None:
    if gpu.gpus():
        pytest.skip("this machine has a GPU")
    for device in ("auto", "cuda", "cuda:1"):
        engine = opened(bundle, device)
        assert engine.choice == (
            "onnxruntime cpu; not better: there is no NVIDIA GPU with a driver on this machine"
        )
        assert engine.lacking == (device != "auto")
    assert opened(bundle, "cpu").choice == "onnxruntime cpu"
    with pytest.raises(CredenceError, match="no NVIDIA GPU"):
        built(bundle, "cuda")


def test_a_gpu_that_is_not_there_is_named(bundle: Path, backend: FakeBackend) -> None:
    assert "there is no GPU 3, only 1 (cuda:0 is the first)" in opened(bundle, "cuda:3").choice
