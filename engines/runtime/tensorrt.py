"""TensorRT through torch-tensorrt: the exported program, compiled ahead for one GPU."""

import warnings

import torch_tensorrt

from engines.job import Job, UnsupportedError
from engines.runtime import cuda

_FILE = "network.ep"


def make(job: Job) -> None:
    """Compile the bundle's program for batches of 1 to ``max_batch`` and write it."""
    cuda.make(job)
    device = cuda.device_of(job)
    example = cuda.example_of(job, device)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of both libraries' own doing
        program = cuda.program_of(job, device)
        shapes = [(rows, *job.rows) for rows in (1, job.max_batch, job.max_batch)]
        given = torch_tensorrt.Input(
            min_shape=shapes[0], opt_shape=shapes[1], max_shape=shapes[2], dtype=example.dtype
        )
        compiled = torch_tensorrt.dynamo.compile(
            program, arg_inputs=[given], device=device, min_block_size=1, disable_tf32=True
        )
        if not any("_run_on_acc" in name for name, _ in compiled.named_children()):
            raise UnsupportedError("TensorRT takes none of its operators")
        torch_tensorrt.save(compiled, str(job.folder / _FILE), arg_inputs=[given])


def load(job: Job) -> cuda.Cuda:
    """Load what `make` wrote."""
    device = cuda.device_of(job)
    network = torch_tensorrt.load(str(job.folder / _FILE)).module()
    example, name = cuda.example_of(job, device), f"tensorrt {device} {job.precision}"
    try:
        return cuda.Cuda(network, example, job, name)
    except RuntimeError:  # what runs between TensorRT's parts may not be captured
        return cuda.Cuda(network, example, job, name, graphs=False)
