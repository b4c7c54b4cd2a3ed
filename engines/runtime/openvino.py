"""OpenVINO on the CPU: what `credence-engines build BUNDLE --target openvino` makes, run."""

import threading
from typing import Any

import openvino

from engines.job import Job
from engines.manifest import MODEL
from engines.precision import rewritten
from engines.processors import processors
from engines.runtime import Batch, Outputs, in_parts


class OpenVino:
    """A network in OpenVINO, one CPU thread a call, in single precision unless it was quantised."""

    batches = False

    def __init__(self, job: Job) -> None:
        self.name = f"openvino cpu {job.precision}"
        self._most = job.max_batch
        core = openvino.Core()
        settings = {
            # A stream takes one call at a time, on one thread: as many as threads may judge.
            "INFERENCE_NUM_THREADS": processors(),
            "NUM_STREAMS": processors(),
            # Where the processor knows bfloat16, OpenVINO would take it, and opinions change.
            "INFERENCE_PRECISION_HINT": "f32",
        }
        model = core.compile_model(core.read_model(job.folder / MODEL), "CPU", settings)
        names = {name for output in model.outputs for name in output.get_names()}
        self._given = {name: model.output(name) for name in job.given if name in names}
        self._model, self._of_thread = model, threading.local()

    def __call__(self, batch: Batch) -> Outputs:
        """Return what the network gives for a batch (B, ...)."""
        return in_parts(self._run, batch, self._most)

    def _run(self, batch: Batch) -> Outputs:
        given = self._request().infer({0: batch})
        return {name: given[output].copy() for name, output in self._given.items()}

    def _request(self) -> Any:
        """Return the calling thread's own request: one request takes one call at a time."""
        if not hasattr(self._of_thread, "request"):
            self._of_thread.request = self._model.create_infer_request()
        return self._of_thread.request


def make(job: Job) -> None:
    """Write the network as OpenVINO reads it; compiling takes it a third of a second at load."""
    (job.folder / MODEL).write_bytes(rewritten(job))


def load(job: Job) -> OpenVino:
    """Load what `make` wrote."""
    return OpenVino(job)
