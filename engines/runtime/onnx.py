"""ONNX Runtime on the CPU: the portable runtime, present everywhere."""

import ctypes
from pathlib import Path

import onnxruntime

from engines.job import Job
from engines.labels import EMOTIONS
from engines.manifest import MODEL, BrokenBundleError
from engines.precision import rewritten
from engines.runtime import ENCODED, INNER, Batch, Outputs
from engines.runtime.guarded import first_line


class OnnxCpu:
    """A network in ONNX Runtime on one CPU thread: a node runs many cameras, not one wide."""

    batches = False

    def __init__(
        self,
        model: Path,
        shape: tuple[int | None, ...],
        given: tuple[str, ...] = ENCODED,
        name: str = "onnxruntime cpu",
    ) -> None:
        """Load ``model``; raise BrokenBundleError if it does not load, take this shape or give what
        is to be ``given`` (`sequence` may be missing)."""
        self.name = name
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                model.read_bytes(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime raises its own family, without a common root
            raise BrokenBundleError(
                model.parent, f"{model.name} does not load in ONNX Runtime ({first_line(error)})"
            ) from error
        taken, *others = self._session.get_inputs()
        outputs = {output.name: output.shape for output in self._session.get_outputs()}
        fits = not others and list(shape[1:]) == taken.shape[1:]
        fits &= {*given} - {*outputs} <= {"sequence"}
        if not fits or any(outputs[name][1:] != [len(EMOTIONS)] for name in {*given} - {*INNER}):
            gives = ", ".join(f"{name} {outputs[name]}" for name in sorted(outputs))
            raise BrokenBundleError(
                model.parent,
                f"{model.name} takes {taken.shape} and gives {gives}, not what its manifest says",
            )
        self._given = list(outputs)
        self._input = taken.name
        _return_memory()

    def __call__(self, batch: Batch) -> Outputs:
        """Return what the network gives for a batch (B, ...)."""
        made = self._session.run(self._given, {self._input: batch})
        return dict(zip(self._given, made, strict=True))


def _return_memory() -> None:
    """Give back what loading has freed: glibc would keep 100 MB of unpacked weights."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:  # other libraries of C have nothing to trim
        trim(0)


def make(job: Job) -> None:
    """Write the network with weights and activations of its body in 8 bits."""
    (job.folder / MODEL).write_bytes(rewritten(job))


def load(job: Job) -> OnnxCpu:
    """Load what `make` wrote."""
    name = f"onnxruntime cpu {job.precision}"
    return OnnxCpu(job.folder / MODEL, job.shape, job.given, name)
