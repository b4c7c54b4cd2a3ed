"""What can be configured of where events go, and of where a node says how it is doing."""

import re
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import unquote, urlsplit

import platformdirs
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from streamer import addresses
from streamer.section import Real, Section, Whole
from streamer.settings import Clash, ConfigError, PathUnless

_CERTIFICATES = ("ca_file", "client_cert", "client_key")


def state_folder(node: str) -> Path:
    """Return where a node keeps what must outlive it."""
    return platformdirs.user_state_path("credence") / node


def _sendable(key: SecretStr | None) -> SecretStr | None:
    if key is not None and not re.fullmatch(r"[\x21-\x7e]{1,4096}", key.get_secret_value()):
        raise ValueError("must be printable ASCII without spaces")
    return key


def _discovery_prefix(value: object) -> object:
    if isinstance(value, bool):
        return "homeassistant" if value else "none"
    return value


class Mqtt(Section):
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
    switches: bool = False
    """Whether a message on a camera's `enabled/set`, `ON` or `OFF`, switches it, until the settings
    are read again; with `home_assistant` there is a switch for it."""

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


class LanguageModel(Section):
    """A language model that explains final events once more, in events of their own. It is given
    what was measured, never media, and what was said only with `transcript.publish`."""

    url: Annotated[str, AfterValidator(lambda url: addresses.http_url(url).geturl().rstrip("/"))]
    """An endpoint that speaks OpenAI's protocol, up to `/v1`: `http://127.0.0.1:11434/v1` is
    Ollama's on this machine. Nothing is sent anywhere else, and by no proxy."""
    model: Annotated[str, Field(min_length=1, max_length=200)]
    """The model's name there."""
    api_key: Annotated[SecretStr | None, AfterValidator(_sendable)] = None
    """Sent to the endpoint, where it wants one. Never shown."""
    timeout_s: Annotated[Real, Field(ge=0.1, le=600)] = 20.0
    """An answer is not waited for any longer."""
    tokens: Annotated[Whole, Field(ge=50, le=100_000)] = 300
    """An answer may be so long; one that is cut off does not count."""
    waiting: Annotated[Whole, Field(ge=1, le=10_000)] = 8
    """So many live events wait for the model; of more the oldest are not explained by it."""


class Spool(Section):
    """Where `credence run` keeps events on disk until the broker has them, and how many. What is
    more, or older, is given up, the oldest first; the log says so."""

    folder: Annotated[str, PathUnless(("auto",)), AfterValidator(addresses.path)] = "auto"
    """Holds `spool.sqlite3`, for one node at a time. `auto` is `credence/NODE` in the folder of the
    user's state: `~/.local/state` on Linux, unless `XDG_STATE_HOME` names another."""
    resend_s: Annotated[Real, Field(ge=0, le=3600)] = 60.0
    """Seconds of acknowledgements before the last one, for which events are kept, to be sent again
    when the connection breaks: a broker that is killed forgets what it had in memory."""
    largest_mb: Annotated[Whole, Field(ge=1, le=1_000_000)] = 256
    """Megabytes of events that are kept at most. An event has about three kilobytes."""
    oldest_h: Annotated[Real, Field(gt=0, le=8760)] = 72.0
    """Hours, while the node runs, for which an event waits for the broker."""

    def path(self, node: str) -> Path:
        """Return the file of a node."""
        folder = state_folder(node) if self.folder == "auto" else Path(self.folder)
        return folder / "spool.sqlite3"


class Store(Section):
    """Where `credence run` and `credence replay` keep events for `credence events`, and how long.
    No picture and no sound, but what people expressed, and, with `transcript.publish`, said."""

    path: Annotated[str, PathUnless(("none", "auto")), AfterValidator(addresses.path)] = "none"
    """The file, which its owner alone may read. `none` keeps nothing; `auto` is
    `events.sqlite3` in `credence/NODE` in the folder of the user's state, as for the spool."""
    keep_days: Annotated[Real, Field(gt=0, le=36500)] = 30.0
    """Days after which an event is deleted, by the clock of the machine that stored it."""
    largest_mb: Annotated[Whole, Field(ge=1, le=1_000_000)] = 1024
    """Megabytes of the file; beyond them the oldest events are deleted before their time. An event
    has about 0.8 kilobytes there."""

    def file(self, node: str) -> Path | None:
        """Return the file of a node; None where nothing is kept."""
        if self.path == "none":
            return None
        return state_folder(node) / "events.sqlite3" if self.path == "auto" else Path(self.path)


class Metrics(Section):
    """Where `credence run` serves `/metrics` for Prometheus, `/healthz` and `/readyz`."""

    port: Annotated[Whole, Field(ge=0, le=65535)] = 9464
    """0 serves nothing. Where another program has the port, a warning says so and cameras are
    judged all the same."""
    host: Annotated[str, AfterValidator(addresses.ip_address)] = "127.0.0.1"
    """The address of this machine to listen at; by default nobody else can ask. `0.0.0.0` is all
    of IPv4. Nobody is asked for a password, so let a firewall decide who gets there."""
