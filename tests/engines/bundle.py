"""A bundle with a network of a few weights, for what does not depend on how good it is."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from engines.labels import EMOTIONS
from engines.manifest import Calibration, EngineManifest, Tensor, Training, sha256, write_manifest

SIDE = 48


def write_bundle(folder: Path, **changes: object) -> Path:
    """Write a face engine whose evidence is a clipped linear map of the crop."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    weights = {
        "to_evidence": random.normal(0, 0.05, (SIDE * SIDE, len(EMOTIONS))),
        "to_embedding": random.normal(0, 0.05, (SIDE * SIDE, 4)),
    }
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["crops"], ["flat"]),
            helper.make_node("MatMul", ["flat", "to_evidence"], ["scores"]),
            helper.make_node("Relu", ["scores"], ["evidence"]),
            helper.make_node("MatMul", ["flat", "to_embedding"], ["embedding"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("crops", TensorProto.FLOAT, ["B", 1, SIDE, SIDE])],
        [
            helper.make_tensor_value_info("evidence", TensorProto.FLOAT, ["B", len(EMOTIONS)]),
            helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["B", 4]),
        ],
        [numpy_helper.from_array(w.astype(np.float32), name) for name, w in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, folder / "model.onnx")
    inputs = random.normal(size=(5, 1, SIDE, SIDE)).astype(np.float32)
    evidence = np.maximum(inputs.reshape(5, -1) @ weights["to_evidence"], 0)
    np.savez(folder / "reference.npz", inputs=inputs, evidence=evidence.astype(np.float32))
    given: dict[str, object] = {
        "format": 1,
        "kind": "face",
        "name": "tiny",
        "labels": EMOTIONS,
        "preprocessing": "face-1",
        "input": Tensor(name="crops", shape=(None, 1, SIDE, SIDE)),
        "parameters": SIDE * SIDE * 11,
        "calibration": Calibration(temperature=1.0, data="none", n=1),
        "training": Training(recipe={}, data=(), metrics={}),
        "licence": "Apache-2.0",
        "files": {name: sha256(folder / name) for name in ("model.onnx", "reference.npz")},
    }
    write_manifest(folder, EngineManifest.model_validate({**given, **changes}))
    return folder
