"""An engine: a bundle that has been opened, checked, and is ready to judge windows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engines import preprocess
from engines.devices import Chosen, choose
from engines.errors import CredenceError
from engines.fusion import averaging
from engines.labels import EMOTIONS
from engines.manifest import (
    BUNDLES,
    MODEL,
    BrokenBundleError,
    EngineManifest,
    Modality,
    check_files,
    read_manifest,
)
from engines.opinion import Opinion
from engines.preprocess import face, text, voice
from engines.runtime import Batch, Runtime, stacked
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
class Engine:
    """A network with its contract. `judge` is thread-safe and has no side effect."""

    path: Path
    manifest: EngineManifest
    hash: str
    """First 16 hexadecimal digits of the manifest's SHA-256, which covers every file."""
    runtime: Runtime
    choice: str = ""
    """In a line, for people: what runs it here, and why nothing better."""
    lacking: bool = False
    """Whether a plan that there is, or a GPU that is asked for by name, cannot be used."""

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
        rows = [tensor(window) for window in windows]
        if not rows:
            return []
        outputs = self.runtime(stacked(rows))
        saw = outputs.get("sequence", outputs["embedding"][:, None])
        ends = np.cumsum([len(each) for each in rows])[:-1]
        try:
            pairs = zip(np.split(outputs["evidence"], ends), np.split(saw, ends), strict=True)
            return [_answer(*pair) for pair in pairs]
        except ValueError as error:
            raise BrokenBundleError(self.path, f"its network gives nonsense ({error})") from error


def _answer(evidence: npt.NDArray[np.float32], saw: npt.NDArray[np.float32]) -> Answer:
    rows = Opinion.from_evidence(evidence)
    each = [Opinion(*row) for row in zip(rows.belief, rows.uncertainty, strict=True)]
    sequence = saw.reshape(-1, saw.shape[-1])
    return Answer(averaging(each), rows, sequence[sequence.any(axis=1)])  # zeros are padding


def open_engine(
    path: Path,
    kind: Modality | None = None,
    device: str | None = None,
    *,
    tell: Callable[[str], None] = lambda _: None,
    lost: Callable[[str], None] = lambda _: None,
) -> Engine:
    """Open the bundle in a folder for use on this machine.

    ``device`` is `auto`, `cpu`, `cuda` or `cuda:N`, of which the best runtime is taken, which on a
    GPU may build a plan first and then ``tell`` how far it is; None is the portable runtime
    whatever else is there, on which engines are certified. ``lost`` is told if a GPU fails later.

    Raises BrokenBundleError if it is of another ``kind`` than asked for, or a file is missing,
    damaged or does not load, and EngineContractError if it was made for other labels or other
    preprocessing.
    """
    manifest, digest = engine_manifest(path, kind)
    portable = OnnxCpu(path / MODEL, manifest.input.shape)
    chosen = Chosen(portable, portable.name)
    if device:
        chosen = choose(path, digest, manifest, portable, device, tell=tell, lost=lost)
    return Engine(path, manifest, digest, chosen.runtime, chosen.why, chosen.lacking)


def engine_manifest(path: Path, kind: Modality | None = None) -> tuple[EngineManifest, str]:
    """Return the manifest and the hash of an engine's bundle, checked; raises as `open_engine`."""
    manifest, digest = read_manifest(path)
    if not isinstance(manifest, EngineManifest) or (kind and manifest.kind != kind):
        raise BrokenBundleError(
            path, f"this is a {manifest.kind} bundle, where {kind or 'an engine'} is wanted"
        )
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


def _check_contract(path: Path, manifest: EngineManifest) -> None:
    if manifest.labels != EMOTIONS:
        raise EngineContractError(
            path, what="labels", expected=", ".join(EMOTIONS), found=", ".join(manifest.labels)
        )
    expected = preprocess.VERSIONS.get(manifest.kind, "none")
    if manifest.preprocessing != expected:
        raise EngineContractError(
            path, what="preprocessing", expected=expected, found=manifest.preprocessing
        )
