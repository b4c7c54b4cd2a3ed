"""ONNX Runtime on the CPU: the portable runtime, present everywhere."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from engines.manifest import BrokenBundleError
from engines.runtime import Batch


class OnnxCpu:
    """A network in ONNX Runtime on one CPU thread: a node runs many cameras, not one wide."""

    name = "onnxruntime cpu"
    batches = False

    def __init__(self, model: Path, shape: tuple[int | None, ...]) -> None:
        """Load ``model``, or raise BrokenBundleError if it does not load or take this shape."""
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
                model.parent, f"{model.name} does not load in ONNX Runtime ({_sentence(error)})"
            ) from error
        taken, *others = self._session.get_inputs()
        given = {output.name for output in self._session.get_outputs()}
        if others or list(shape[1:]) != taken.shape[1:] or not {"evidence", "embedding"} <= given:
            raise BrokenBundleError(
                model.parent,
                f"{model.name} takes {taken.shape} and gives {', '.join(sorted(given))},"
                f" not what its manifest says",
            )
        self._input = taken.name

    def __call__(self, batch: Batch) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Return evidence (B, K) ≥ 0 and embedding (B, D) of a batch (B, ...)."""
        evidence, embedding = self._session.run(["evidence", "embedding"], {self._input: batch})
        return evidence, embedding


def _sentence(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
