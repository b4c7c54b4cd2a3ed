"""Run folder → bundle: the trained network with its contract, checked, whole or not at all."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import onnx
import torch
from torch import nn

from engines import preprocess
from engines.labels import EMOTIONS
from engines.manifest import (
    Calibration,
    EngineManifest,
    Modality,
    Tensor,
    Training,
    sha256,
    write_manifest,
)
from engines.parity import apart
from engines.preprocess import text
from engines.preprocess.voice import MELS, SEGMENT_FRAMES
from engines.runtime import ENCODED, INNER, Batch, Outputs
from engines.runtime.onnx import OnnxCpu
from engines.window import FACE_PX
from train.bundle import ExportError, replacing
from train.card import engine_card
from train.data import CORPORA
from train.models.packed import pack
from train.recipe import Recipe
from train.results import Results
from train.run import read_run

TOLERANCE = 1e-4
"""Largest difference of a belief between ONNX and torch, relative one of what the network saw."""

_SHAPES: Final[dict[Modality, tuple[int, ...]]] = {
    "face": (1, FACE_PX, FACE_PX),
    "voice": (1, MELS, SEGMENT_FRAMES),
    "text": (text.WORDS * text.PIECES,),
}
_INPUT: Final[dict[Modality, str]] = {"face": "faces", "voice": "segments", "text": "buckets"}
_REFERENCES = 6
_SENTENCES: Final = (
    "",
    "No!",
    "I'm so happy for you, congratulations!",
    "why would anyone do that it makes me sick",
    "We were afraid that nobody would come back before the storm reached the coast.",
    " ".join(["They said that the train leaves at nine and arrives at ten."] * 4),
)


def export(run: Path, bundle: Path) -> None:
    """Write the bundle of a finished run; an older bundle in its place is replaced.

    Raises RunError if the run is not finished and ExportError if the folder is something else,
    the disk is full, or ONNX Runtime computes something else than torch.
    """
    recipe, results, engine = read_run(run)
    parameters = count(engine)
    pack(engine)
    model = engine.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    with replacing(bundle, recipe.kind) as folder:
        inputs = _synthetic(recipe.kind)
        write_network(folder, model, inputs, _INPUT[recipe.kind], ENCODED)
        card = engine_card(recipe, results, _sources(recipe), parameters)
        (folder / "MODEL_CARD.md").write_text(card, encoding="utf-8")
        write_manifest(folder, _manifest(folder, recipe, results, parameters))


def write_network(
    folder: Path, model: nn.Module, inputs: Batch, name: str, given: tuple[str, ...]
) -> None:
    """Write the network in both forms, with what it computes on some inputs (n, ...).

    ``name`` is that of its input, ``given`` those of its outputs, of which the last may be missing.
    Raises ExportError if ONNX Runtime computes something else than torch.
    """
    example = torch.from_numpy(inputs)
    with torch.inference_mode():
        made = dict(zip(given, (out.numpy() for out in model(example)), strict=False))
    with _without_noise():
        batch = {0: torch.export.Dim("B")}
        program = torch.export.export(model, (example[:2],), dynamic_shapes=(batch,))
        for node in program.graph.nodes:  # file names of the machine that exports
            node.meta.pop("stack_trace", None)
        packed = io.BytesIO()  # torch's own writer aborts the process where the disk is full
        torch.export.save(program, packed)
        (folder / "program.pt2").write_bytes(packed.getvalue())
        torch.onnx.export(
            program,
            f=str(folder / "model.onnx"),
            input_names=[name],
            output_names=list(made),
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    _strip(folder / "model.onnx")
    _compare(folder, inputs, made)
    made.pop("sequence", None)  # large, and followed from by the others
    np.savez_compressed(folder / "reference.npz", inputs=inputs, **made)


@contextlib.contextmanager
def _without_noise() -> Iterator[None]:
    """Keep torch's exporter from warning of what it does itself, and of torchvision."""
    for name in ("torch.onnx._internal.exporter._registration", "onnxscript.optimizer"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*LeafSpec.* is deprecated", FutureWarning)
        yield


def _strip(path: Path) -> None:
    """Take out of the graph what only tells how it was made."""
    model = onnx.load(path)
    for part in (model, model.graph, *model.graph.node, *model.graph.value_info):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    onnx.save(model, path)


def _compare(folder: Path, inputs: Batch, made: Outputs) -> None:
    found = OnnxCpu(folder / "model.onnx", inputs.shape, tuple(made))(inputs)
    most = apart(found, made)
    for name in made.keys() & {*INNER}:
        scale = max(float(np.abs(made[name]).max()), 1.0)
        most = np.maximum(most, np.abs(found[name] - made[name]).max() / scale)  # a NaN stays one
    if not most <= TOLERANCE:
        raise ExportError(folder, f"ONNX Runtime differs from torch by {most:.2g}")


def _synthetic(kind: Modality) -> Batch:
    """Return a few sentences, or smooth random inputs (6, 1, H, W) of mean 0 and deviation 1."""
    if kind == "text":
        return np.concatenate([text.buckets(text.words(said)) for said in _SENTENCES])
    rng = np.random.default_rng(0)
    rows = [
        cv2.GaussianBlur(rng.normal(size=_SHAPES[kind][1:]), (0, 0), 1.0 + i)
        for i in range(_REFERENCES)
    ]
    # Half precision holds them exactly enough and keeps the file small.
    return np.stack([(r - r.mean()) / r.std() for r in rows])[:, None].astype("f2").astype("f4")


def _manifest(folder: Path, recipe: Recipe, results: Results, parameters: int) -> EngineManifest:
    files = sorted(path.name for path in folder.iterdir())
    return EngineManifest(
        format=1,
        kind=recipe.kind,
        name=recipe.name,
        labels=EMOTIONS,
        preprocessing=preprocess.VERSIONS[recipe.kind],
        input=Tensor(name=_INPUT[recipe.kind], shape=(None, *_SHAPES[recipe.kind])),
        parameters=parameters,
        calibration=Calibration(
            temperature=results.temperature,
            data=f"validation people of {', '.join(recipe.data)}",
            n=results.n,
        ),
        training=Training(
            recipe=recipe.model_dump(mode="json"),
            data=_sources(recipe),
            metrics={name: dict(values) for name, values in results.metrics.items()},
        ),
        licence=recipe.licence,
        files={name: sha256(folder / name) for name in files},
    )


def _sources(recipe: Recipe) -> tuple[str, ...]:
    return tuple(CORPORA[n].source if n in CORPORA else f"the table {n}" for n in recipe.data)


def count(model: nn.Module) -> int:
    """Return the number of a network's parameters."""
    return sum(parameter.numel() for parameter in model.parameters())
