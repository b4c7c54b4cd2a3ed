"""What can be configured. `load` reads it; `docs/configuration.md` is made from the docstrings."""

import re
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from engines.gpu import device_named
from streamer import addresses
from streamer.config_outputs import LanguageModel, Metrics, Mqtt, Spool, Store
from streamer.section import Real, Section, TopicLevel, Whole
from streamer.settings import Clash, ConfigError, PathUnless, read

__all__ = [
    "Camera",
    "Config",
    "ConfigError",
    "Engines",
    "Faces",
    "LanguageModel",
    "Metrics",
    "Mqtt",
    "Recognition",
    "Spool",
    "Store",
    "Transcript",
    "Vad",
    "Video",
    "Windows",
    "load",
]


def _camera_url(secret: SecretStr) -> SecretStr:
    addresses.camera_url(secret.get_secret_value())
    return secret


def _language(text: str) -> str:
    if not re.fullmatch(r"auto|[a-z]{2,3}", text):
        raise ValueError("must be auto or the code of a language, such as en or de")
    return text


def _host_name() -> str:
    return re.sub(r"[^a-z0-9_-]", "-", socket.gethostname().lower())[:100] or "node"


WHISPER_SIZES = ("tiny", "base", "small")
EngineFolder = Annotated[str, PathUnless(("shipped", "none")), AfterValidator(addresses.path)]


class Camera(Section):
    """One element of the list: a source of pictures and sound."""

    name: TopicLevel
    """Stands in topics and events, and is used once: 1 to 100 characters without `/ + # $`."""
    url: Annotated[
        SecretStr,
        PathUnless(),
        AfterValidator(_camera_url),
    ]
    """`rtsp://`, `http://` or `https://` (also HLS), with credentials if need be; `webcam:0` or
    `webcam:/dev/video0`; the path of a file, which is played once at its own pace; or, to try
    things, `lavfi:` and a description of FFmpeg's. Never shown."""
    transport: Literal["tcp", "udp"] = "tcp"
    """How RTSP carries media. `udp` where a camera offers nothing else."""
    enabled: bool = True
    """Whether it is looked at. One that is not stands in topics and stats as `disabled`."""

    @property
    def address(self) -> addresses.Address:
        """Where it is."""
        return addresses.Address.parse(self.url.get_secret_value(), self.transport)


class Video(Section):
    """How pictures are taken from a stream."""

    sample_every_s: Annotated[Real, Field(ge=0.02, le=60)] = 0.4
    """Seconds of the stream between the pictures in which faces are looked for."""
    decoder: Literal["cpu", "cuda", "vaapi"] = "cpu"
    """What decodes the pictures of cameras. Where a graphics card cannot, the processor does, and
    the log says so. `vaapi` needs a PyAV that is built with it: those of PyPI are not."""


class Faces(Section):
    """How faces are found."""

    model: Annotated[str, PathUnless(("auto", "haar")), AfterValidator(addresses.path)] = "auto"
    """`auto` takes YuNet where its model is cached and OpenCV's Haar cascade otherwise; `haar`
    always takes the cascade; a path names a YuNet model (`.onnx`)."""
    min_score: Annotated[Real, Field(ge=0, le=1)] = 0.6
    """Faces that the detector is less sure of are left out."""
    min_size_px: Annotated[Whole, Field(ge=1, le=10_000)] = 24
    """Smaller faces are left out; pixels of the original picture."""


class Vad(Section):
    """How speech is told from other sound."""

    aggressiveness: Annotated[Whole, Field(ge=0, le=3)] = 3
    """How readily webrtcvad takes sound for noise; what is near the background is noise anyway."""
    pre_roll_s: Annotated[Real, Field(ge=0, le=5)] = 0.2
    """Sound kept from before the moment at which speech was noticed."""
    hangover_s: Annotated[Real, Field(ge=0.03, le=10)] = 0.5
    """Silence that ends an utterance."""
    shortest_s: Annotated[Real, Field(ge=0.03, le=10)] = 0.3
    """Shorter utterances are taken for noise. Less than `windows.longest_s`."""


class Windows(Section):
    """How long the stretches are that get one verdict each."""

    longest_s: Annotated[Real, Field(ge=1, le=60)] = 8.0
    """Longer utterances are cut at their quietest point."""
    ambient_every_s: Annotated[Real, Field(ge=0.5, le=600)] = 2.0
    """Length of a window while a face is seen and nobody speaks."""
    ambient_shortest_s: Annotated[Real, Field(ge=0.1, le=600)] = 1.0
    """Shorter rests between utterances get no window. At most `windows.ambient_every_s`."""

    @model_validator(mode="after")
    def _rests_fit(self) -> Self:
        if self.ambient_shortest_s > self.ambient_every_s:
            raise Clash(
                "windows.ambient_shortest_s must be at most windows.ambient_every_s",
                (("windows", "ambient_shortest_s"), ("windows", "ambient_every_s")),
            ).as_error()
        return self


class Engines(Section):
    """What judges. An engine, and the policy, is `shipped` (comes with Credence), `none`, or the
    path of a folder."""

    face: EngineFolder = "shipped"
    """Judges faces."""
    voice: EngineFolder = "shipped"
    """Judges voices."""
    text: EngineFolder = "shipped"
    """Judges what is said, as far as it is transcribed."""
    policy: EngineFolder = "shipped"
    """Decides which verdicts are trusted. Without one, none is."""
    multilabel: Annotated[str, PathUnless(("shipped",)), AfterValidator(addresses.path)] = "shipped"
    """Tells several emotions at once, where `recognition.multilabel` asks for it. It fits the
    engines that it was trained with alone."""
    device: Annotated[str, AfterValidator(device_named)] = "auto"
    """What the engines run on: `cpu`, `cuda` or `cuda:N` (the first is `cuda:0`); `auto` takes a
    GPU where there is one. What cannot be had is said at start, and the next best runs."""
    batch_within_s: Annotated[Real, Field(ge=0, le=1)] = 0.02
    """How long a live window waits for those of other cameras, to be judged together. Only where
    that saves time, as on a GPU."""


class Recognition(Section):
    """What is told of each window beside the verdict."""

    multilabel: bool = False
    """Whether events hold `emotions`, too: how probable each of the seven is, as several may be
    shown at once. Experimental, and nothing to act on: the verdict alone is trusted."""


class Transcript(Section):
    """How speech is written down, by Whisper. It is for the text engine, and is never logged."""

    model: Annotated[
        str, PathUnless(("auto", "none", *WHISPER_SIZES)), AfterValidator(addresses.path)
    ] = "auto"
    """A size is looked for where `credence models fetch whisper-SIZE` puts it; a path names a
    folder in faster-whisper's format. `auto` takes the largest that is fetched, where there is a
    text engine or `publish` is set. Where none is fetched a warning says so, and text is absent."""
    language: Annotated[str, AfterValidator(_language)] = "auto"
    """What is spoken, as in `de`; `auto` detects it each time. What is not English is translated,
    too, where the model can."""
    publish: bool = False
    """Whether events, and the topic `transcript`, hold what was said."""
    partials: bool = False
    """Whether what is being said is published, too, after every two seconds of an utterance. Only
    by `credence run`, over MQTT and with `publish`; each costs a run of Whisper."""
    updates: bool = True
    """Whether a window that waits for words has an event at once, as `update`, besides `final`."""
    patience_s: Annotated[Real, Field(ge=0.1, le=600)] = 5.0
    """A live final waits for its words no longer; a replay always waits."""
    threads: Annotated[Whole, Field(ge=1, le=64)] = 2
    """Of the processor, for Whisper."""


class Config(Section):
    """Everything that can be configured; every key has a default."""

    node: TopicLevel = Field(default_factory=_host_name)
    """The name of this machine in topics and events, of the same characters as a camera's.
    The host name is made to fit: lower case, with `-` for what does not belong."""
    cameras: tuple[Camera, ...] = ()
    """The sources. `credence replay` takes its recordings from the command line instead."""
    video: Video = Video()
    faces: Faces = Faces()
    vad: Vad = Vad()
    windows: Windows = Field(default=Windows(), validate_default=True)
    engines: Engines = Engines()
    recognition: Recognition = Recognition()
    transcript: Transcript = Transcript()
    language_model: LanguageModel | None = None
    mqtt: Mqtt | None = None
    spool: Spool = Spool()
    store: Store = Store()
    metrics: Metrics = Metrics()

    @field_validator("cameras")
    @classmethod
    def _names_differ(cls, cameras: tuple[Camera, ...]) -> tuple[Camera, ...]:
        for clash in _same_names([camera.name for camera in cameras]):
            raise clash.as_error()
        return cameras

    @field_validator("windows")
    @classmethod
    def _utterances_fit(cls, windows: Windows, info: ValidationInfo) -> Windows:
        vad = info.data.get("vad")
        if vad is not None and vad.shortest_s >= windows.longest_s:
            raise Clash(
                "vad.shortest_s must be less than windows.longest_s",
                (("vad", "shortest_s"), ("windows", "longest_s")),
            ).as_error()
        return windows


def load(path: Path | None, overrides: Sequence[str] = ()) -> Config:
    """Read a YAML file (none: all defaults), then each `KEY=VALUE` over it.

    Raises a ConfigError that names every problem.
    """
    return read(Config, path, overrides, check=_raw_names_differ)


def _same_names(names: Sequence[str | None]) -> list[Clash]:
    return [
        Clash(
            f"two cameras are named {name!r}",
            (("cameras", names.index(name), "name"), ("cameras", at, "name")),
        )
        for at, name in enumerate(names)
        if name is not None and names.index(name) < at
    ]


def _raw_names_differ(given: dict[str, Any]) -> list[Clash]:
    """Find two cameras of one name even where another setting is wrong."""
    cameras = given.get("cameras")
    if not isinstance(cameras, list):
        return []
    return _same_names([_name(camera) for camera in cameras])


def _name(camera: Any) -> str | None:
    # What is no name is refused elsewhere, unseen: it may be a URL.
    try:
        return addresses.topic_level(camera["name"])
    except (TypeError, KeyError, ValueError):
        return None
