"""TensorRT for RTX: its builder makes an engine from ONNX, anywhere; its runtime needs the GPU."""

from typing import Any, Final

import tensorrt_rtx
import torch
from torch import Tensor

from engines.job import Job, UnsupportedError
from engines.precision import rewritten
from engines.runtime import cuda

_FILE: Final = "network.engine"


class Logger(tensorrt_rtx.ILogger):  # type: ignore[misc]
    """Keeps the first error that the library tells, for the sentence that a user reads."""

    def __init__(self) -> None:
        tensorrt_rtx.ILogger.__init__(self)
        self.first = ""

    def log(self, severity: Any, message: str) -> None:
        """Take one message."""
        if severity <= tensorrt_rtx.ILogger.Severity.ERROR and not self.first:
            self.first = message


def make(job: Job) -> None:
    """Write an engine for batches of 1 to ``max_batch``. Needs no GPU."""
    (job.folder / _FILE).write_bytes(built(rewritten(job, plain=True), job))


def built(model: bytes, job: Job) -> bytes:
    """Build an engine from ONNX; raise UnsupportedError where TensorRT cannot take it."""
    logger = Logger()
    builder = tensorrt_rtx.Builder(logger)
    network = builder.create_network(0)
    parser = tensorrt_rtx.OnnxParser(network, logger)
    if not parser.parse(model):
        raise UnsupportedError(f"TensorRT cannot read it: {parser.get_error(0).desc()}")
    config = builder.create_builder_config()
    config.clear_flag(tensorrt_rtx.BuilderFlag.TF32)  # fp32 means it
    profile = builder.create_optimization_profile()
    shapes = [(rows, *job.rows) for rows in (1, job.max_batch, job.max_batch)]
    profile.set_shape(network.get_input(0).name, *shapes)
    config.add_optimization_profile(profile)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise UnsupportedError(f"TensorRT cannot build it: {logger.first or 'it does not say why'}")
    return bytes(engine)


def load(job: Job) -> cuda.Cuda:
    """Load what `make` wrote; raise UnsupportedError where this GPU does not take it."""
    device = cuda.device_of(job)
    network = _Network((job.folder / _FILE).read_bytes(), job.given, device)
    return cuda.Cuda(
        network,
        cuda.example_of(job, device),
        job,
        f"tensorrt-rtx {device} {job.precision}",
        graphs=False,  # it captures its own
    )


class _Network:
    """An engine on a GPU, called with tensors that lie there."""

    def __init__(self, engine: bytes, given: tuple[str, ...], device: torch.device) -> None:
        self._logger = Logger()
        self._device = device
        with torch.cuda.device(device):
            self._runtime = tensorrt_rtx.Runtime(self._logger)
            self._engine = self._runtime.deserialize_cuda_engine(engine)
            if self._engine is None:
                raise UnsupportedError(self._logger.first or "the engine is not for this GPU")
            config = self._engine.create_runtime_config()
            config.cuda_graph_strategy = tensorrt_rtx.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
            self._context = self._engine.create_execution_context(config)
            self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        self._made: dict[int, tuple[Tensor, ...]] = {}
        ends = {*map(self._engine.get_tensor_name, range(self._engine.num_io_tensors))}
        (self._input,) = ends - {*given}
        self._given = [name for name in given if name in ends]

    def __call__(self, rows: Tensor) -> tuple[Tensor, ...]:
        context, size = self._context, len(rows)
        context.set_input_shape(self._input, tuple(rows.shape))
        context.set_tensor_address(self._input, rows.data_ptr())
        if size not in self._made:  # a captured graph writes where it wrote before
            self._made[size] = tuple(self._place(name, size) for name in self._given)
        for name, tensor in zip(self._given, self._made[size], strict=True):
            context.set_tensor_address(name, tensor.data_ptr())
        self._stream.wait_stream(torch.cuda.current_stream())  # the default one cannot be captured
        if not context.execute_async_v3(self._stream.cuda_stream):
            raise RuntimeError(self._logger.first or "TensorRT does not run")
        torch.cuda.current_stream().wait_stream(self._stream)
        return self._made[size]

    def _place(self, name: str, size: int) -> Tensor:
        sides = tuple(self._engine.get_tensor_shape(name))[1:]
        return torch.empty((size, *sides), dtype=torch.float32, device=self._device)
