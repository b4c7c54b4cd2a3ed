"""An engine: a bundle that has been opened, checked, and is ready to judge windows."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, overload

import numpy as np
import numpy.typing as npt

from engines import preprocess
from engines.build import Tell
from engines.devices import Chosen, choose
from engines.errors import CredenceError
from engines.fusion import averaging
from engines.labels import EMOTIONS
from engines.manifest import (
    BUNDLES,
    MODEL,
    BrokenBundleError,
    EngineManifest,
    Kind,
    Modality,
    MultilabelManifest,
    NetworkManifest,
    PolicyManifest,
    check_files,
    read_manifest,
)
from engines.multilabel import MultilabelEngine
from engines.opened import Opened
from engines.opinion import Opinion
from engines.preprocess import face, text, voice
from engines.runtime import Batch, Outputs
from engines.runtime.onnx import OnnxCpu
from engines.window import FaceWindow, TextWindow, VoiceWindow, Window

__all__ = [
    "BUNDLES",
    "Engine",
    "EngineContractError",
    "bundle_named",
    "engine_manifest",
    "open_engine",
    "tensor",
]


def bundle_named(given: Path) -> Path:
    """Return the folder of a bundle that is given by its folder, or by name if it is shipped."""
    if given.exists() or len(given.parts) > 1:
        return given
    if not (BUNDLES / given).exists():
        names = ", ".join(sorted(path.parent.name for path in BUNDLES.glob("*/engine.json")))
        raise BrokenBundleError(
            given, f"there is no such folder; name one, or one that is shipped: {names}"
        )
    return BUNDLES / given


class EngineContractError(CredenceError):
    """The engine was built for other preprocessing or other labels than this code runs."""

    def __init__(self, path: Path, *, what: str, expected: str, found: str) -> None:
        super().__init__(
            f"{path}: built for {what} {found}, this code runs {expected}; "
            f"export it again with `credence-train export`"
        )
        self.path, self.expected, self.found = path, expected, found


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What an engine believes of a window."""

    opinion: Opinion
    """(K,) over `labels.EMOTIONS`."""
    rows: Opinion
    """(n, K) of each face crop, voice segment or 48 words; their average is the opinion."""
    sequence: npt.NDArray[np.float32]
    """(m, D), m ≥ 0, what the network saw along time: each crop, 160 ms of voice, or word."""


@dataclass(frozen=True, slots=True, eq=False)
class Engine(Opened[EngineManifest]):
    """A network that judges a modality."""

    def judge(self, window: Window) -> Opinion:
        """Return one opinion over `labels.EMOTIONS` on a window of this engine's kind.

        A window gives several rows (one per face crop, voice segment or 48 words). They rest on
        the same moment, so their opinions are averaged.
        """
        return self.judge_all([window])[0]

    def judge_all(self, windows: Sequence[Window]) -> list[Opinion]:
        """Return an opinion on each window, by one call of the runtime for all their rows.

        Worth waiting for windows only where `runtime.batches`.
        """
        return [answer.opinion for answer in self.answers(windows)]

    def answers(self, windows: Sequence[Window]) -> list[Answer]:
        """Return each window's opinion and those that it is the average of, as `judge_all`."""
        return [answered(made) for made in self.run([tensor(window) for window in windows])]


def answered(made: Outputs) -> Answer:
    """Return what an encoder believes that gave this for the rows of a window."""
    rows = Opinion.from_evidence(made["evidence"])
    each = [Opinion(*row) for row in zip(rows.belief, rows.uncertainty, strict=True)]
    saw = made.get("sequence", made["embedding"])
    sequence = saw.reshape(-1, saw.shape[-1])
    return Answer(averaging(each), rows, sequence[sequence.any(axis=1)])  # zeros are padding


@overload
def open_engine(
    path: Path,
    kind: Modality | None = None,
    device: str | None = None,
    *,
    tell: Tell = ...,
    lost: Tell = ...,
) -> Engine: ...


@overload
def open_engine(
    path: Path,
    kind: Literal["multilabel"],
    device: str | None = None,
    *,
    tell: Tell = ...,
    lost: Tell = ...,
) -> MultilabelEngine: ...


def open_engine(
    path: Path,
    kind: Kind | None = None,
    device: str | None = None,
    *,
    tell: Tell = lambda _: None,
    lost: Tell = lambda _: None,
) -> Engine | MultilabelEngine:
    """Open the bundle in a folder for use on this machine; without a ``kind``, of any modality.

    ``device`` is `auto`, `cpu`, `cuda` or `cuda:N`, of which the best runtime is taken, which on a
    GPU may build a plan first and then ``tell`` how far it is; None is the portable runtime
    whatever else is there, on which engines are certified. ``lost`` is told if a GPU fails later.

    Raises BrokenBundleError if it is of another ``kind`` than asked for, or a file is missing,
    damaged or does not load, and EngineContractError if it was made for other labels or other
    preprocessing.
    """
    manifest, digest = engine_manifest(path, kind)
    if kind is None and manifest.kind == "multilabel":
        raise _other(path, manifest.kind, "a face, voice or text engine")
    portable = OnnxCpu(path / MODEL, manifest.input.shape, manifest.given)
    chosen = Chosen(portable, portable.name)
    if device:
        chosen = choose(path, digest, manifest, portable, device, tell=tell, lost=lost)
    runs = chosen.runtime, chosen.why, chosen.lacking
    if isinstance(manifest, MultilabelManifest):
        return MultilabelEngine(path, manifest, digest, *runs)
    return Engine(path, manifest, digest, *runs)


def engine_manifest(path: Path, kind: Kind | None = None) -> tuple[NetworkManifest, str]:
    """Return the manifest and the hash of an engine's bundle, checked; raises as `open_engine`.

    Without a ``kind``, of any engine.
    """
    manifest, digest = read_manifest(path)
    if isinstance(manifest, PolicyManifest) or (kind and manifest.kind != kind):
        raise _other(path, manifest.kind, kind or "an engine")
    _check_contract(path, manifest)
    check_files(path, manifest.files)
    return manifest, digest


def tensor(window: Window) -> Batch:
    """Return what the network of the window's kind is given (n, ...), n ≥ 1."""
    match window:
        case FaceWindow():
            return face.tensor(window)
        case VoiceWindow():
            return voice.tensor(window)
        case TextWindow():
            return text.tensor(window)


def _other(path: Path, found: str, wanted: str) -> BrokenBundleError:
    return BrokenBundleError(path, f"this is a {found} bundle, where {wanted} is wanted")


def _check_contract(path: Path, manifest: NetworkManifest) -> None:
    if manifest.labels != EMOTIONS:
        raise EngineContractError(
            path, what="labels", expected=", ".join(EMOTIONS), found=", ".join(manifest.labels)
        )
    expected = preprocess.VERSIONS.get(manifest.kind, "none")
    if manifest.preprocessing != expected:
        raise EngineContractError(
            path, what="preprocessing", expected=expected, found=manifest.preprocessing
        )
