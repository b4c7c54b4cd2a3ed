"""Models that do not ship with Credence: where they lie and come from."""

import hashlib
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urljoin, urlsplit

import platformdirs

from engines.errors import CredenceError
from streamer.config import WHISPER_SIZES

Condition = Literal["whole", "damaged", "missing", "not recorded"]
Progress = Callable[[str, int, int | None], None]
"""Told a file's name, its bytes so far, and how many there are if that is known."""

_CHUNK: Final = 1 << 18
_TIMEOUT_S: Final = 20.0


class UnknownModelError(CredenceError):
    """A name that is none of the models known here."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name!r} is no model; there are {', '.join(MODELS)}")
        self.name = name


class FetchError(CredenceError):
    """A model could not be fetched. What was there before is still there."""

    def __init__(self, model: "Model", problem: str) -> None:
        files = ", ".join(
            f"{urljoin(model.base, file.url)} as {folder() / file.path}" for file in model.files
        )
        super().__init__(
            f"{model.name} cannot be fetched: {problem}; try again, or put in place {files}"
        )
        self.name, self.problem = model.name, problem


@dataclass(frozen=True, slots=True)
class File:
    """One file of a model."""

    path: str
    """Where it belongs, seen from the cache's folder."""
    url: str
    """Seen from the model's base."""
    sha256: str | None = None
    """None where it is recorded at the first fetch."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model that can be fetched."""

    name: str
    what: str
    licence: str
    base: str
    files: tuple[File, ...]

    @property
    def place(self) -> Path:
        """The file or folder that holds it once it is fetched."""
        return folder() / self.files[0].path.partition("/")[0]


def _whisper(size: str, megabytes: int) -> Model:
    name = f"whisper-{size}"
    names = ("config.json", "tokenizer.json", "vocabulary.txt", "model.bin")
    return Model(
        name,
        f"writes down speech in 99 languages, {megabytes} MB",
        "MIT",
        f"https://huggingface.co/Systran/faster-whisper-{size}/resolve/main/",
        tuple(File(f"{name}/{file}", file) for file in names),
    )


_YUNET: Final = Model(
    "yunet",
    "finds faces, 0.2 MB",
    "MIT",
    "https://github.com/opencv/opencv_zoo/raw/main/models/face_detection_yunet/",
    (
        File(
            "yunet.onnx",
            "face_detection_yunet_2023mar.onnx",
            "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
        ),
    ),
)

MODELS: Final = {
    model.name: model
    for model in (
        _YUNET,
        *(_whisper(s, mb) for s, mb in zip(WHISPER_SIZES, (75, 145, 484), strict=True)),
    )
}


def folder() -> Path:
    """Return the cache's folder, which may not exist yet."""
    return platformdirs.user_cache_path("credence") / "models"


def named(name: str) -> Model:
    """Return a model by its name."""
    if name not in MODELS:
        raise UnknownModelError(name)
    return MODELS[name]


def is_cached(model: Model) -> bool:
    """Tell whether all files are there; `verify` tells whether they are whole."""
    return all((folder() / file.path).is_file() for file in model.files)


def fetch(model: Model, progress: Progress = lambda *_: None, *, base: str | None = None) -> Path:
    """Download a model into the cache, whole or not at all, and return where it lies.

    A file whose checksum is not known has it recorded beside it. Raises FetchError. Blocks.
    """
    made = folder() / f".{model.name}.part"
    shutil.rmtree(made, ignore_errors=True)
    try:
        for file in model.files:
            _download(model, file, urljoin(base or model.base, file.url), made, progress)
        _put_in_place(model, made)
    except OSError as error:
        raise FetchError(model, f"{error.strerror or error} ({folder()})") from error
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return model.place


def verify(model: Model) -> dict[str, Condition]:
    """Return the condition of each file, by its path in the cache. Reads all of them."""
    return {file.path: _condition(file) for file in model.files}


def _condition(file: File) -> Condition:
    path = folder() / file.path
    if not path.is_file():
        return "missing"
    wanted = file.sha256
    if wanted is None:
        with suppress(OSError, IndexError):
            wanted = _record(path).read_text(encoding="utf-8").split()[0]
    if wanted is None:
        return "not recorded"
    with path.open("rb") as opened:
        return "whole" if hashlib.file_digest(opened, "sha256").hexdigest() == wanted else "damaged"


def _download(model: Model, file: File, url: str, made: Path, progress: Progress) -> None:
    path = made / file.path
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    host = urlsplit(url).hostname
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer, path.open("wb") as out:
            size = int(answer.headers.get("Content-Length") or 0) or None
            while chunk := answer.read(_CHUNK):
                out.write(chunk)
                digest.update(chunk)
                progress(file.path, out.tell(), size)
            came = out.tell()
    except urllib.error.HTTPError as error:
        error.close()
        raise FetchError(model, f"{host} answered {error.code} for {file.url}") from None
    except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", None) or error
        raise FetchError(model, f"{host} cannot be reached ({reason})") from None
    if size is not None and came != size:
        raise FetchError(model, f"{host} sent {came} of {size} bytes of {file.url}")
    if file.sha256 is None:
        _record(path).write_text(f"{digest.hexdigest()}  {path.name}\n", encoding="utf-8")
    elif digest.hexdigest() != file.sha256:
        raise FetchError(model, f"what {host} sent as {file.url} has another checksum")


def _put_in_place(model: Model, made: Path) -> None:
    made_place = made / model.place.name
    if model.place.is_dir():
        shutil.rmtree(model.place)
    made_place.replace(model.place)


def _record(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")
