"""Run folder → bundle of kind multilabel: the network behind one tensor, checked, with its card."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, cast

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from engines import manifest as contract
from engines import preprocess
from engines.labels import EMOTIONS
from engines.manifest import (
    Modality,
    MultilabelManifest,
    Part,
    Training,
    packed_shape,
    sha256,
    write_manifest,
)
from engines.runtime import LABELLED
from train.bundle import ExportError, replacing
from train.export import count, write_network
from train.models.lddu import Lddu, Unimodal
from train.multilabel.card import card
from train.multilabel.recipe import LdduRecipe
from train.multilabel.run import MultilabelResults, read_run

_INPUT: Final = "sequences"
_REFERENCES: Final = 12
_SOURCES: Final = (
    "FER2013 faces (no stated licence, research use only) with the FER+ votes of ten raters (MIT)",
    "RAVDESS speech (CC BY-NC-SA 4.0)",
    "GoEmotions, Ekman's classes, with comments of several labels (Apache-2.0)",
)


class Packed(nn.Module):
    """LDDU behind the one tensor of `engines.preprocess.sequence`."""

    def __init__(self, network: Lddu, parts: Mapping[Modality, Part]) -> None:
        super().__init__()
        self.network = network
        self.parts = tuple(parts.values())

    def forward(self, packed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, S, W) → probability (B, L), spread (B, L), embedding (B, D)."""
        sequences, start = [], 0
        for length, width in self.parts:
            sequences.append(packed[:, start : start + length, :width])
            start += length
        said = self.network(sequences)
        return said.probability, said.spread, said.embedding


def export(run: Path, bundle: Path) -> None:
    """Write the bundle of a finished run; an older bundle in its place is replaced.

    Raises RunError if the run is not finished and ExportError if its corpus is not of our encoders'
    sequences, the folder is something else, or ONNX Runtime computes something else than torch.
    """
    recipe, results, network = read_run(run)
    if not results.engines:
        raise ExportError(
            bundle,
            f"{run} was trained on {recipe.corpus}, whose features no live encoder makes;"
            f" only a run on the corpus matched can be exported",
        )
    parts = {cast("Modality", kind): Part(*size) for kind, size in results.parts.items()}
    with replacing(bundle, "multilabel") as folder:
        write_network(folder, Packed(network, parts), _synthetic(network, parts), _INPUT, LABELLED)
        made = _manifest(folder, recipe, results, parts, count(network))
        (folder / "MODEL_CARD.md").write_text(card(made), encoding="utf-8")
        write_manifest(folder, made.model_copy(update={"files": _files(folder)}))


def _synthetic(network: Lddu, parts: Mapping[Modality, Part]) -> npt.NDArray[np.float32]:
    """Return random rows (12, S, W), scaled as those that it was trained on.

    The first sample has all that it may have, the others fewer rows; modalities are absent.
    """
    rng = np.random.default_rng(0)
    packed = np.zeros((_REFERENCES, *packed_shape(parts)), np.float32)
    start = 0
    for m, (length, width) in enumerate(parts.values()):
        modality = network.modalities[m]
        assert isinstance(modality, Unimodal), "each is"
        rows = rng.normal(size=(_REFERENCES, length, width))
        rows = rows * modality.scale.numpy() + modality.centre.numpy()
        lengths = rng.integers(1, length + 1, size=_REFERENCES)
        lengths[0], lengths[1 + m] = length, 0
        rows *= (np.arange(length) < lengths[:, None])[:, :, None]
        packed[:, start : start + length, :width] = rows
        start += length
    return packed.astype("f2").astype("f4")  # halves hold them exactly and keep the file small


def _manifest(
    folder: Path,
    recipe: LdduRecipe,
    results: MultilabelResults,
    parts: Mapping[Modality, Part],
    parameters: int,
) -> MultilabelManifest:
    return MultilabelManifest(
        format=1,
        kind="multilabel",
        name=recipe.name,
        labels=EMOTIONS,
        preprocessing=preprocess.VERSIONS["multilabel"],
        engines=results.engines,
        parts=dict(parts),
        input=contract.Tensor(name=_INPUT, shape=(None, *packed_shape(parts))),
        parameters=parameters,
        thresholds=results.thresholds,
        experimental=True,
        training=Training(
            recipe=recipe.model_dump(mode="json"),
            data=_SOURCES,
            metrics={part: dict(figures) for part, figures in results.metrics.items()},
        ),
        licence=recipe.licence,
        files=_files(folder),
    )


def _files(folder: Path) -> dict[str, str]:
    return {path.name: sha256(path) for path in sorted(folder.iterdir())}
