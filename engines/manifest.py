"""engine.json: what a bundle is, what it may be given, how it was made and under which licence."""

import hashlib
import json
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, ClassVar, Literal, NamedTuple, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from engines.errors import CredenceError
from engines.fusion import Rule
from engines.runtime import ENCODED, LABELLED

MANIFEST = "engine.json"
MODEL = "model.onnx"
REFERENCE = "reference.npz"
PROGRAM = "program.pt2"

BUNDLES = Path(__file__).parent / "bundles"
"""The engines that ship with Credence, a folder each."""

Modality = Literal["face", "voice", "text"]
Kind = Literal[Modality, "multilabel"]
"""Of an engine."""
Share = Annotated[float, Field(ge=0, le=1)]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")]
"""Of a file in the bundle's own folder."""


class BrokenBundleError(CredenceError):
    """A bundle folder is missing, damaged, or no bundle at all."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path, self.problem = path, problem


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Tensor(_Part):
    """The name and shape of the network's input; None is the batch."""

    name: str
    shape: tuple[int | None, ...]


class Calibration(_Part):
    """How the network's scores became probabilities."""

    temperature: float = Field(gt=0)
    data: str
    n: int = Field(ge=1)


class Training(_Part):
    """Where an engine comes from, so that it can be made again and judged."""

    recipe: dict[str, object]
    data: tuple[str, ...]
    metrics: dict[str, dict[str, float | None]]
    """By the name of a held-out part: figures on people never trained on."""


class _Contract(_Part):
    """A network and its contract."""

    given: ClassVar[tuple[str, ...]]
    """What the network gives, by name and in its order."""

    format: Literal[1]
    kind: Kind
    name: str
    labels: tuple[str, ...]
    preprocessing: str
    input: Tensor
    parameters: int
    training: Training
    licence: str
    files: dict[FileName, str]
    """SHA-256 of every other file in the folder, by name."""

    @model_validator(mode="after")
    def _network_is_covered(self) -> Self:
        if missing := {MODEL, REFERENCE} - self.files.keys():
            raise ValueError(f"no checksum of {' and '.join(sorted(missing))}")
        return self


class Part(NamedTuple):
    """The place of a modality in what a multilabel network is given."""

    length: Annotated[int, Field(ge=1)]
    """Rows that the network sees at most."""
    width: Annotated[int, Field(ge=1)]
    """Numbers in each row."""


class EngineManifest(_Contract):
    """Of a network that judges a modality."""

    given = ENCODED
    parts: ClassVar[Mapping[Modality, Part]] = MappingProxyType({})
    """It is given one thing, not several."""

    kind: Modality
    calibration: Calibration


def packed_shape(parts: Mapping[Modality, Part]) -> tuple[int, int]:
    """Return the rows, and the width, of all parts below each other."""
    return sum(part.length for part in parts.values()), max(part.width for part in parts.values())


class MultilabelManifest(_Contract):
    """Of a network that tells all emotions that are shown, from what encoders saw."""

    given = LABELLED

    kind: Literal["multilabel"]
    engines: dict[Modality, str] = Field(min_length=1)
    """The hash of each encoder that it was trained on."""
    parts: dict[Modality, Part]
    """In this order they lie in the input (None, rows, width)."""
    thresholds: tuple[Share, ...]
    """(K,) the probability from which an emotion counts as shown; chosen on validation."""
    experimental: Literal[True]

    @model_validator(mode="after")
    def _fits_itself(self) -> Self:
        if self.parts.keys() != self.engines.keys():
            raise ValueError("parts and engines must be of the same modalities")
        if self.input.shape != (None, *packed_shape(self.parts)):
            raise ValueError("the input's shape is not that of its parts")
        if len(self.thresholds) != len(self.labels):
            raise ValueError("each label needs a threshold")
        return self


NetworkManifest = EngineManifest | MultilabelManifest

Basis = Literal["paired", "label-matched"]


class Threshold(_Part):
    """A confidence from which verdicts are trusted, and the guarantee behind it."""

    confidence: Share
    target: Share
    """The precision that trusted verdicts reach, with probability 1 - delta."""
    delta: Share
    n: int = Field(ge=1)
    data: str
    """SHA-256 of what was certified on: truths and opinions."""
    basis: Basis


_Points = tuple[tuple[float, ...], tuple[float, ...]]


def _monotone(curve: _Points) -> _Points:
    x, y = curve
    if len(x) != len(y) or not x:
        raise ValueError("a curve needs as many values as places, and at least one")
    if any(b <= a for a, b in pairwise(x)) or any(b < a for a, b in pairwise(y)):
        raise ValueError("a curve needs rising places and values that never fall")
    return curve


Place = Annotated[float, Field(allow_inf_nan=False)]
Curve = Annotated[tuple[tuple[Place, ...], tuple[Share, ...]], AfterValidator(_monotone)]
"""[[x, …], [y, …]]: straight lines between points that never fall; level beyond the ends."""


class PolicyManifest(_Part):
    """How the opinions of certain engines are combined, and when the result is trusted."""

    format: Literal[1, 2]
    """2 knows `quality` and `calibration`; in 1 they are empty."""
    kind: Literal["policy"]
    name: str
    engines: dict[Modality, str]
    """The hash of each engine that this policy was fitted with."""
    rule: Rule
    reliability: dict[Modality, Share]
    quality: dict[Modality, dict[str, Curve]] = Field(default_factory=dict)
    """By modality and measure of `engines.quality`, the trust at each of its values."""
    calibration: dict[str, Curve] = Field(default_factory=dict)
    """By the present modalities, sorted and joined by +: the probability of being right, by the
    highest projected probability of the fused opinion."""
    thresholds: dict[str, Threshold | None]
    """By the present modalities, sorted and joined by +; None where none could be certified."""
    licence: str
    files: dict[FileName, str]


Manifest = NetworkManifest | PolicyManifest
_adapter: TypeAdapter[Manifest] = TypeAdapter(Annotated[Manifest, Field(discriminator="kind")])


def read_manifest(folder: Path) -> tuple[Manifest, str]:
    """Read a bundle's manifest and its hash; raise BrokenBundleError if there is none."""
    try:
        raw = (folder / MANIFEST).read_bytes()
    except OSError as error:
        raise BrokenBundleError(
            folder, f"no readable {MANIFEST}; name a folder made by `credence-train export`"
        ) from error
    try:
        manifest = _adapter.validate_python(json.loads(raw))
    except (ValidationError, ValueError, RecursionError) as error:
        raise BrokenBundleError(folder, f"{MANIFEST} is damaged: {_first_line(error)}") from error
    return manifest, hashlib.sha256(raw).hexdigest()[:16]


def check_files(folder: Path, files: dict[str, str]) -> None:
    """Compare every file with its checksum; raise BrokenBundleError at the first that differs."""
    for name, expected in files.items():
        try:
            found = sha256(folder / name)
        except OSError as error:
            raise BrokenBundleError(folder, f"{name} is missing; copy the bundle again") from error
        if found != expected:
            raise BrokenBundleError(
                folder, f"{name} was changed or cut short; copy the bundle again"
            )


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write engine.json, readable and in the same bytes for the same content."""
    text = json.dumps(manifest.model_dump(mode="json"), indent=2, ensure_ascii=False)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the manifest"
        return f"{where}: {first['msg'].lower()}"
    return str(error)
