"""The ONNX form of a network, rewritten for builders: constants folded, or of fewer bits."""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import onnxruntime

from engines.errors import CredenceError
from engines.job import Job
from engines.manifest import MODEL
from engines.runtime import Batch

WEIGHED: Final = ("Conv", "Gemm", "MatMul")
"""What is computed in 8 bits: nearly all of the work."""
_LARGEST_HALF: Final = 65504.0


def rewritten(job: Job, *, plain: bool = False) -> bytes:
    """Return the bundle's network in the precision that is asked for; int8 ``plain`` for TensorRT.

    Raises a CredenceError where that needs a package that is not installed, or int8 without data.
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
        raise NoDataError("int8 is calibrated on your own inputs; name them with --data")
    return _int8(model, job.calibration, plain=plain)


class NoDataError(CredenceError):
    """There is nothing to calibrate on."""


class MissingOnnxError(CredenceError):
    """The package that rewrites networks is absent."""

    def __init__(self, precision: str) -> None:
        super().__init__(f"{precision} needs the package onnx; pip install onnx")


def folded(path: Path) -> bytes:
    """Return a network whose constants are computed: packed weights become plain ones."""
    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(Path(folder) / MODEL)
        options.log_severity_level = 3
        onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
        return (Path(folder) / MODEL).read_bytes()


def _half(model: bytes) -> bytes:
    """Compute the body in half precision; what comes in and goes out stays single."""
    from onnx import TensorProto, helper, numpy_helper, shape_inference  # noqa: PLC0415

    whole, body = taken_apart(model)
    graph = shape_inference.infer_shapes(whole).graph
    single = _singles(graph)

    def half(name: str) -> str:
        return f"{name}_half" if name in single else name

    def cast(name: str, to: int) -> Any:
        ends = ([name], [half(name)]) if to == TensorProto.FLOAT16 else ([half(name)], [name])
        return helper.make_node("Cast", *ends, to=to)

    outside = {o.name for o in graph.output}
    outside |= {name for n in graph.node if n.name not in body for name in n.input}
    inside = {name for n in graph.node if n.name in body for name in n.input} & single
    weights = {i.name: i for i in graph.initializer}
    nodes = [cast(i.name, TensorProto.FLOAT16) for i in graph.input if i.name in inside]
    for name in sorted(inside & weights.keys()):
        values = numpy_helper.to_array(weights[name])
        values = values.clip(-_LARGEST_HALF, _LARGEST_HALF).astype("f2")  # a mask's 1e9 is no ∞
        graph.initializer.append(numpy_helper.from_array(values, half(name)))
        if name not in outside:
            graph.initializer.remove(weights[name])
    for node in graph.node:
        nodes.append(node)
        if node.name not in body:
            continue
        if node.op_type == "Cast":  # from whole numbers, for which not every runtime has halves
            nodes += [cast(name, TensorProto.FLOAT16) for name in node.output if name in inside]
            continue
        node.input[:] = [half(name) for name in node.input]
        made, node.output[:] = list(node.output), [half(name) for name in node.output]
        nodes += [cast(name, TensorProto.FLOAT) for name in made if name in outside & single]
    new = helper.make_graph(nodes, graph.name, graph.input, graph.output, graph.initializer)
    made_of = helper.make_model(new, opset_imports=whole.opset_import, ir_version=whole.ir_version)
    return bytes(made_of.SerializeToString())


def _int8(model: bytes, calibration: Batch, *, plain: bool) -> bytes:
    """Compute most of the body in 8 bits; ``plain``: a zero is 0, and biases are floats."""
    from onnxruntime.quantization import QuantType, quantize_static  # noqa: PLC0415

    whole, body = taken_apart(model)
    chosen = [n.name for n in whole.graph.node if n.name in body and n.op_type in WEIGHED]
    with tempfile.TemporaryDirectory() as folder, _quiet():
        out = Path(folder) / MODEL
        quantize_static(
            whole,
            out,
            _Rows(whole.graph.input[0].name, calibration),
            nodes_to_quantize=chosen,
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            extra_options={"ActivationSymmetric": plain, "QuantizeBias": not plain},
        )
        return out.read_bytes()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the quantiser from advising, on the root logger, what is done already."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _singles(graph: Any) -> set[str]:
    """Return the name of every tensor in single precision."""
    from onnx import TensorProto  # noqa: PLC0415

    typed = (*graph.input, *graph.output, *graph.value_info)
    names = {v.name for v in typed if v.type.tensor_type.elem_type == TensorProto.FLOAT}
    return names | {i.name for i in graph.initializer if i.data_type == TensorProto.FLOAT}


def taken_apart(model: bytes) -> tuple[Any, set[str]]:
    """Return a network, each node named, and the names of those that its embedding depends on."""
    import onnx  # noqa: PLC0415

    whole = onnx.load_from_string(model)
    for i, node in enumerate(whole.graph.node):
        node.name = f"{node.op_type}_{i}"
    makers = {output: node for node in whole.graph.node for output in node.output}
    waiting, body = ["embedding"], set()
    while waiting:
        node = makers.get(waiting.pop())
        if node is not None and node.name not in body:
            body.add(node.name)
            waiting += node.input
    return whole, body


class _Rows:
    """Feeds the quantiser."""

    def __init__(self, name: str, rows: Batch) -> None:
        self._parts = ({name: rows[i : i + 16]} for i in range(0, len(rows), 16))

    def get_next(self) -> dict[str, Batch] | None:
        """Return the next inputs, None at the end."""
        return next(self._parts, None)
