"""The shipped bundles, changed."""

import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import helper

from engines.engine import BUNDLES
from engines.manifest import (
    MODEL,
    REFERENCE,
    Modality,
    Part,
    PolicyManifest,
    read_manifest,
    sha256,
    write_manifest,
)
from tests.engines.bundle import write_multilabel

PARTS: dict[Modality, Part] = {"face": Part(8, 160), "voice": Part(24, 128), "text": Part(8, 192)}
"""What a network sees of the sequences that the shipped engines give."""


def variant(folder: Path, kind: str, **changes: object) -> str:
    """Write a shipped bundle with a changed manifest; return its hash."""
    shutil.copytree(BUNDLES / kind, folder)
    manifest, _ = read_manifest(folder)
    write_manifest(folder, manifest.model_validate(manifest.model_dump() | changes))
    return read_manifest(folder)[1]


def policy_for(folder: Path, **engines: str) -> str:
    """Write the shipped policy as if fitted with other engines; return its hash."""
    manifest, _ = read_manifest(BUNDLES / "policy")
    assert isinstance(manifest, PolicyManifest)
    return variant(folder, "policy", engines=dict(manifest.engines) | engines)


def multilabel_for(folder: Path, **engines: str) -> str:
    """Write a multilabel engine as if trained on the shipped engines, and others; return its hash.

    Its answers are noise, though always the same.
    """
    trained_on = {kind: read_manifest(BUNDLES / kind)[1] for kind in PARTS} | engines
    write_multilabel(folder, parts=PARTS, engines=trained_on)
    return read_manifest(folder)[1]


def deceptive(folder: Path, kind: str) -> Path:
    """Write a shipped engine that computes its reference, and nonsense of anything else.

    Its reference input is zero, and so is then the square root that joins its evidence; of any
    other input it is that of a negative number.
    """
    variant(folder, kind)
    model = onnx.load(folder / MODEL)
    given = model.graph.input[0]
    for node in model.graph.node:
        for at, name in enumerate(node.output):
            if name == "evidence":
                node.output[at] = "honest"
        for at, name in enumerate(node.input):
            if name == "evidence":
                node.input[at] = "honest"
    model.graph.node.extend(
        [
            helper.make_node("ReduceL1", [given.name], ["all"], keepdims=0),
            helper.make_node("Neg", ["all"], ["less"]),
            helper.make_node("Sqrt", ["less"], ["nonsense"]),
            helper.make_node("Add", ["honest", "nonsense"], ["evidence"]),
        ]
    )
    onnx.save(model, folder / MODEL)
    with np.load(folder / REFERENCE) as reference:
        inputs = np.zeros_like(reference["inputs"][:1])
    session = onnxruntime.InferenceSession(folder / MODEL, providers=["CPUExecutionProvider"])
    (evidence,) = session.run(["evidence"], {given.name: inputs})
    np.savez(folder / REFERENCE, inputs=inputs, evidence=evidence)
    manifest, _ = read_manifest(folder)
    files = {name: sha256(folder / name) for name in manifest.files}
    write_manifest(folder, manifest.model_copy(update={"files": files}))
    return folder
