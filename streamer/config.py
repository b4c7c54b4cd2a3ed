"""What can be configured. `load` reads it; `docs/configuration.md` is made from the docstrings."""

import re
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import unquote, urlsplit

import platformdirs
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from engines.gpu import device_named
from streamer import addresses
from streamer.settings import Clash, ConfigError, PathUnless, read

__all__ = [
    "Camera",
    "Config",
    "ConfigError",
    "Engines",
    "Faces",
    "Metrics",
    "Mqtt",
    "Spool",
    "Transcript",
    "Vad",
    "Video",
    "Windows",
    "load",
]


def _no_truth(value: object) -> object:
    # Pydantic would take true for 1.
    if isinstance(value, bool):
        raise ValueError  # noqa: TRY004 (pydantic lets a TypeError through)
    return value


def _camera_url(secret: SecretStr) -> SecretStr:
    addresses.camera_url(secret.get_secret_value())
    return secret


def _language(text: str) -> str:
    if not re.fullmatch(r"auto|[a-z]{2,3}", text):
        raise ValueError("must be auto or the code of a language, such as en or de")
    return text


def _discovery_prefix(value: object) -> object:
    if isinstance(value, bool):
        return "homeassistant" if value else "none"
    return value


def _host_name() -> str:
    return re.sub(r"[^a-z0-9_-]", "-", socket.gethostname().lower())[:100] or "node"


_CERTIFICATES = ("ca_file", "client_cert", "client_key")
WHISPER_SIZES = ("tiny", "base", "small")
_Real = Annotated[float, BeforeValidator(_no_truth)]
_Whole = Annotated[int, BeforeValidator(_no_truth)]
TopicLevel = Annotated[str, AfterValidator(addresses.topic_level)]
EngineFolder = Annotated[str, PathUnless(("shipped", "none")), AfterValidator(addresses.path)]


class _Section(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True
    )


class Camera(_Section):
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

    @property
    def address(self) -> addresses.Address:
        """Where it is."""
        return addresses.Address.parse(self.url.get_secret_value(), self.transport)


class Video(_Section):
    """How pictures are taken from a stream."""

    sample_every_s: Annotated[_Real, Field(ge=0.02, le=60)] = 0.4
    """Seconds of the stream between the pictures in which faces are looked for."""
    decoder: Literal["cpu", "cuda", "vaapi"] = "cpu"
    """What decodes the pictures of cameras. Where a graphics card cannot, the processor does, and
    the log says so. `vaapi` needs a PyAV that is built with it: those of PyPI are not."""


class Faces(_Section):
    """How faces are found."""

    model: Annotated[str, PathUnless(("auto", "haar")), AfterValidator(addresses.path)] = "auto"
    """`auto` takes YuNet where its model is cached and OpenCV's Haar cascade otherwise; `haar`
    always takes the cascade; a path names a YuNet model (`.onnx`)."""
    min_score: Annotated[_Real, Field(ge=0, le=1)] = 0.6
    """Faces that the detector is less sure of are left out."""
    min_size_px: Annotated[_Whole, Field(ge=1, le=10_000)] = 24
    """Smaller faces are left out; pixels of the original picture."""


class Vad(_Section):
    """How speech is told from other sound."""

    aggressiveness: Annotated[_Whole, Field(ge=0, le=3)] = 3
    """How readily webrtcvad takes sound for noise; what is near the background is noise anyway."""
    pre_roll_s: Annotated[_Real, Field(ge=0, le=5)] = 0.2
    """Sound kept from before the moment at which speech was noticed."""
    hangover_s: Annotated[_Real, Field(ge=0.03, le=10)] = 0.5
    """Silence that ends an utterance."""
    shortest_s: Annotated[_Real, Field(ge=0.03, le=10)] = 0.3
    """Shorter utterances are taken for noise. Less than `windows.longest_s`."""


class Windows(_Section):
    """How long the stretches are that get one verdict each."""

    longest_s: Annotated[_Real, Field(ge=1, le=60)] = 8.0
    """Longer utterances are cut at their quietest point."""
    ambient_every_s: Annotated[_Real, Field(ge=0.5, le=600)] = 2.0
    """Length of a window while a face is seen and nobody speaks."""
    ambient_shortest_s: Annotated[_Real, Field(ge=0.1, le=600)] = 1.0
    """Shorter rests between utterances get no window. At most `windows.ambient_every_s`."""

    @model_validator(mode="after")
    def _rests_fit(self) -> Self:
        if self.ambient_shortest_s > self.ambient_every_s:
            raise Clash(
                "windows.ambient_shortest_s must be at most windows.ambient_every_s",
                (("windows", "ambient_shortest_s"), ("windows", "ambient_every_s")),
            ).as_error()
        return self


class Engines(_Section):
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
    device: Annotated[str, AfterValidator(device_named)] = "auto"
    """What the engines run on: `cpu`, `cuda` or `cuda:N` (the first is `cuda:0`); `auto` takes a
    GPU where there is one. What cannot be had is said at start, and the next best runs."""
    batch_within_s: Annotated[_Real, Field(ge=0, le=1)] = 0.02
    """How long a live window waits for those of other cameras, to be judged together. Only where
    that saves time, as on a GPU."""


class Transcript(_Section):
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
    patience_s: Annotated[_Real, Field(ge=0.1, le=600)] = 5.0
    """A live final waits for its words no longer; a replay always waits."""
    threads: Annotated[_Whole, Field(ge=1, le=64)] = 2
    """Of the processor, for Whisper."""


class Mqtt(_Section):
    """Where events are published. `credence replay` takes from here the topic prefix and the
    certificates, and the broker from `--mqtt`."""

    url: Annotated[str, AfterValidator(lambda url: addresses.mqtt_url(url).geturl())]
    """`mqtt://user:password@host:1883`, or `mqtts://` for TLS (port 8883 unless given)."""
    topic_prefix: Annotated[str, AfterValidator(addresses.topic_prefix)] = "credence"
    """What every topic begins with; one level or several, joined by `/`."""
    username: str | None = None
    """Wins over the one in `url`."""
    password: SecretStr | None = None
    """Wins over the one in `url`. Never shown."""
    ca_file: Annotated[Path | None, PathUnless()] = None
    """The authority, in PEM, that vouches for the broker of `mqtts://`; the system's, or those of
    the variable `SSL_CERT_FILE`, unless given."""
    client_cert: Annotated[Path | None, PathUnless()] = None
    """The certificate, in PEM, that tells such a broker who this is."""
    client_key: Annotated[Path | None, PathUnless()] = None
    """Its key, in PEM, without a passphrase; unless it is in the file of the certificate."""
    home_assistant: Annotated[
        str, BeforeValidator(_discovery_prefix), AfterValidator(addresses.topic_prefix)
    ] = "none"
    """The discovery prefix of Home Assistant, where each camera then appears as a device; `true` is
    the one it has unless changed, `homeassistant`. With `none` nothing is published for it."""
    swap_from: Annotated[str, PathUnless(("none",)), AfterValidator(addresses.path)] = "none"
    """The folder whose bundles a message on `engines/swap` may name, to let them judge instead.
    With `none` the node does not listen for such messages."""

    @classmethod
    def parse(cls, url: str, topic_prefix: str = "credence", **also: Path | None) -> Self:
        """Read what was given as `--mqtt`; raise a ConfigError that does not repeat it."""
        try:
            return cls.model_validate({"url": url, "topic_prefix": topic_prefix, **also})
        except ValidationError as error:
            message = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise ConfigError([f"--mqtt: {message}"])

    @property
    def certificates(self) -> dict[str, Path | None]:
        """The files of TLS, by their keys."""
        return {key: getattr(self, key) for key in _CERTIFICATES}

    @property
    def host(self) -> str:
        """Name or address of the broker."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """TCP port of the broker."""
        return urlsplit(self.url).port or (8883 if self.tls else 1883)

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return urlsplit(self.url).scheme == "mqtts"

    @model_validator(mode="after")
    def _certificates_are_used(self) -> Self:
        given = [key for key, path in self.certificates.items() if path]
        problem = ""
        if given and not self.tls:
            problem = f"mqtt.{given[0]} needs a url that begins with mqtts://"
        elif self.client_key and not self.client_cert:
            problem = "mqtt.client_key needs mqtt.client_cert beside it"
        if problem:
            raise Clash(problem, (("mqtt", "url"), ("mqtt", given[-1]))).as_error()
        return self

    @model_validator(mode="before")
    @classmethod
    def _take_credentials(cls, given: Any) -> Any:
        # So that `url` can be logged: it keeps no credentials.
        try:
            parts = addresses.mqtt_url(given["url"])
        except (TypeError, KeyError, AttributeError, ValueError):
            return given
        found = {"username": parts.username, "password": parts.password}
        bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], path="").geturl()
        return {key: unquote(text) for key, text in found.items() if text} | given | {"url": bare}

    @field_validator("password")
    @classmethod
    def _somebody(cls, password: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if password is not None and info.data.get("username", "") is None:
            raise ValueError("needs a username beside the password")
        return password


class Spool(_Section):
    """Where `credence run` keeps events on disk until the broker has them, and how many. What is
    more, or older, is given up, the oldest first; the log says so."""

    folder: Annotated[str, PathUnless(("auto",)), AfterValidator(addresses.path)] = "auto"
    """Holds `spool.sqlite3`, for one node at a time. `auto` is `credence/NODE` in the folder of the
    user's state: `~/.local/state` on Linux, unless `XDG_STATE_HOME` names another."""
    resend_s: Annotated[_Real, Field(ge=0, le=3600)] = 60.0
    """Seconds of acknowledgements before the last one, for which events are kept, to be sent again
    when the connection breaks: a broker that is killed forgets what it had in memory."""
    largest_mb: Annotated[_Whole, Field(ge=1, le=1_000_000)] = 256
    """Megabytes of events that are kept at most. An event has about three kilobytes."""
    oldest_h: Annotated[_Real, Field(gt=0, le=8760)] = 72.0
    """Hours, while the node runs, for which an event waits for the broker."""

    def path(self, node: str) -> Path:
        """Return the file of a node."""
        if self.folder == "auto":
            return platformdirs.user_state_path("credence") / node / "spool.sqlite3"
        return Path(self.folder) / "spool.sqlite3"


class Metrics(_Section):
    """Where `credence run` serves `/metrics` for Prometheus, `/healthz` and `/readyz`."""

    port: Annotated[_Whole, Field(ge=0, le=65535)] = 9464
    """0 serves nothing. Where another program has the port, a warning says so and cameras are
    judged all the same."""
    host: Annotated[str, AfterValidator(addresses.ip_address)] = "127.0.0.1"
    """The address of this machine to listen at; by default nobody else can ask. `0.0.0.0` is all
    of IPv4. Nobody is asked for a password, so let a firewall decide who gets there."""


class Config(_Section):
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
    transcript: Transcript = Transcript()
    mqtt: Mqtt | None = None
    spool: Spool = Spool()
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
