"""The ONNX form of a network, rewritten for builders: constants folded, or of fewer bits."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import onnxruntime

from engines.job import Job, UnsupportedError
from engines.manifest import MODEL
from engines.runtime import Batch

_WEIGHED: Final = ("Conv", "Gemm", "MatMul")
"""What is computed in 8 bits: nearly all of the work."""


def rewritten(job: Job) -> bytes:
    """Return the bundle's network in the precision that is asked for.

    Raises UnsupportedError where that needs a package that is not installed, or int8 without data.
    """
    model = folded(job.bundle / MODEL)
    if job.precision == "fp32":
        return model
    try:
        import onnx  # noqa: F401, PLC0415
    except ImportError:
        raise MissingOnnxError(job.precision) from None
    if job.precision == "fp16":
        return _half(model)
    if job.calibration is None:
        raise UnsupportedError("int8 is calibrated on your own inputs; name them with --data")
    return _int8(model, job.calibration)


class MissingOnnxError(UnsupportedError):
    """The package that rewrites networks is absent."""

    def __init__(self, precision: str) -> None:
        super().__init__(f"{precision} needs the package onnx; pip install 'credence[train]'")


def folded(path: Path) -> bytes:
    """Return a network whose constants are computed: packed weights become plain ones."""
    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(Path(folder) / MODEL)
        options.log_severity_level = 3
        onnxruntime.InferenceSession(
            path.read_bytes(), options, providers=["CPUExecutionProvider"]
        )
        return (Path(folder) / MODEL).read_bytes()


def _half(model: bytes) -> bytes:
    import onnx  # noqa: PLC0415
    from onnxruntime.transformers.float16 import convert_float_to_float16  # noqa: PLC0415

    graph = _named(onnx.load_from_string(model))
    body = set(_body(graph))
    head = [node.name for node in graph.graph.node if node.name not in body]
    half = convert_float_to_float16(graph, keep_io_types=True, node_block_list=head)
    return bytes(half.SerializeToString())


def _int8(model: bytes, calibration: Batch) -> bytes:
    import onnx  # noqa: PLC0415
    from onnxruntime.quantization import (  # noqa: PLC0415
        CalibrationMethod,
        QuantType,
        quantize_static,
    )

    graph = _named(onnx.load_from_string(model))
    body = set(_body(graph))
    chosen = [n.name for n in graph.graph.node if n.name in body and n.op_type in _WEIGHED]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / MODEL
        quantize_static(
            graph,
            out,
            _Rows(graph.graph.input[0].name, calibration),
            nodes_to_quantize=chosen,
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )
        return out.read_bytes()


def _named(graph: Any) -> Any:
    for i, node in enumerate(graph.graph.node):
        node.name = f"{node.op_type}_{i}"
    return graph


def _body(graph: Any) -> Iterator[str]:
    """Give the name of every node that the embedding depends on."""
    makers = {output: node for node in graph.graph.node for output in node.output}
    waiting, seen = ["embedding"], set()
    while waiting:
        node = makers.get(waiting.pop())
        if node is not None and node.name not in seen:
            seen.add(node.name)
            waiting += node.input
            yield node.name


class _Rows:
    """Feeds the quantiser."""

    def __init__(self, name: str, rows: Batch) -> None:
        self._parts = ({name: rows[i : i + 16]} for i in range(0, len(rows), 16))

    def get_next(self) -> dict[str, Batch] | None:
        """Return the next inputs, None at the end."""
        return next(self._parts, None)
