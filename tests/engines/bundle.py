"""Bundles with networks of a few weights, for what does not depend on how good they are."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from engines.labels import EMOTIONS
from engines.manifest import (
    Calibration,
    EngineManifest,
    Modality,
    MultilabelManifest,
    Part,
    Tensor,
    Training,
    packed_shape,
    sha256,
    write_manifest,
)

SIDE = 48
PARTS: dict[Modality, Part] = {"face": Part(6, 5), "voice": Part(8, 4), "text": Part(4, 3)}
ENCODERS: dict[Modality, str] = {"face": "0" * 16, "voice": "1" * 16, "text": "2" * 16}

Weights = dict[str, npt.NDArray[np.float64]]


def write_bundle(folder: Path, **changes: object) -> Path:
    """Write a face engine whose evidence is a clipped linear map of the crop."""
    random = np.random.default_rng(0)
    weights = {
        "to_evidence": random.normal(0, 0.05, (SIDE * SIDE, len(EMOTIONS))),
        "to_embedding": random.normal(0, 0.05, (SIDE * SIDE, 4)),
    }
    steps = [
        helper.make_node("Flatten", ["crops"], ["flat"]),
        helper.make_node("MatMul", ["flat", "to_evidence"], ["scores"]),
        helper.make_node("Relu", ["scores"], ["evidence"]),
        helper.make_node("MatMul", ["flat", "to_embedding"], ["embedding"]),
    ]
    inputs = random.normal(size=(5, 1, SIDE, SIDE)).astype(np.float32)
    evidence = np.maximum(inputs.reshape(5, -1) @ weights["to_evidence"], 0)
    given: dict[str, object] = {
        "kind": "face",
        "preprocessing": "face-1",
        "calibration": Calibration(temperature=1.0, data="none", n=1),
    }
    given |= _network(folder, steps, weights, inputs, {"evidence": evidence}, 4)
    write_manifest(folder, EngineManifest.model_validate({**given, **changes}))
    return folder


def write_multilabel(
    folder: Path,
    *,
    parts: Mapping[Modality, Part] = PARTS,
    bias: float = 0.0,
    **changes: object,
) -> Path:
    """Write a multilabel engine that maps what it is given to a score an emotion, plus ``bias``: of
    the probability the logit, of the spread the logarithm."""
    random = np.random.default_rng(0)
    rows, width = packed_shape(parts)
    weights = {
        "to_embedding": random.normal(0, 0.1, (rows * width, 4)),
        "to_score": random.normal(0, 1.0, (4, len(EMOTIONS))),
        "bias": np.full(len(EMOTIONS), bias),
    }
    steps = [
        helper.make_node("Flatten", ["sequences"], ["flat"]),
        helper.make_node("MatMul", ["flat", "to_embedding"], ["embedding"]),
        helper.make_node("MatMul", ["embedding", "to_score"], ["scores"]),
        helper.make_node("Add", ["scores", "bias"], ["moved"]),
        helper.make_node("Sigmoid", ["moved"], ["probability"]),
        helper.make_node("Exp", ["moved"], ["spread"]),
    ]
    inputs = np.zeros((5, rows, width), np.float32)
    start = 0
    for part in parts.values():
        here = np.s_[:, start : start + part.length // 2, : part.width]
        inputs[here] = random.normal(size=inputs[here].shape)
        start += part.length
    scores = inputs.reshape(5, -1) @ weights["to_embedding"] @ weights["to_score"] + bias
    made = {"probability": 1 / (1 + np.exp(-scores)), "spread": np.exp(scores)}
    given: dict[str, object] = {
        "kind": "multilabel",
        "preprocessing": "sequence-1",
        "engines": ENCODERS,
        "parts": parts,
        "thresholds": (0.5,) * len(EMOTIONS),
        "experimental": True,
    }
    given |= _network(folder, steps, weights, inputs, made, 4)
    write_manifest(folder, MultilabelManifest.model_validate({**given, **changes}))
    return folder


def _network(
    folder: Path,
    steps: list[onnx.NodeProto],
    weights: Weights,
    inputs: npt.NDArray[np.float32],
    made: Weights,
    embedding: int,
) -> dict[str, object]:
    """Write network and reference, and return what every manifest says."""
    folder.mkdir(parents=True, exist_ok=True)
    taken = steps[0].input[0]
    sizes = {**dict.fromkeys(made, len(EMOTIONS)), "embedding": embedding}
    graph = helper.make_graph(
        steps,
        "tiny",
        [helper.make_tensor_value_info(taken, TensorProto.FLOAT, ["B", *inputs.shape[1:]])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["B", size])
            for name, size in sizes.items()
        ],
        [numpy_helper.from_array(w.astype(np.float32), name) for name, w in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, folder / "model.onnx")
    answers = {name: values.astype(np.float32) for name, values in made.items()}
    np.savez(folder / "reference.npz", inputs=inputs, **answers)  # type: ignore[arg-type]
    return {
        "format": 1,
        "name": "tiny",
        "labels": EMOTIONS,
        "input": Tensor(name=taken, shape=(None, *inputs.shape[1:])),
        "parameters": sum(w.size for w in weights.values()),
        "training": Training(recipe={}, data=(), metrics={}),
        "licence": "Apache-2.0",
        "files": {name: sha256(folder / name) for name in ("model.onnx", "reference.npz")},
    }
