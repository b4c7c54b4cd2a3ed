"""What Home Assistant is told of a node's cameras, so that they appear there by themselves.

MQTT discovery by device, and the templates in it, are Home Assistant's: `docs/home-assistant.md`.
"""

import hashlib
import re
from datetime import datetime
from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from engines.labels import EMOTIONS, Emotion
from streamer.broker import Broker
from streamer.event import EmotionEvent, Number, Share, WindowKind
from streamer.metrics import release

FRESH_S: Final = 60
"""Later an automation had better not run any more. **ours**"""

_ONLINE: Final = b"online"
_VERSION: Final = release()
_OFF_DELAY_S: Final = 30
"""Without another verdict nothing is trusted any more. **ours**: over three of the longest
windows."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TrustedEvent(_Part):
    """A trusted verdict, as an event entity takes it: flat, and with a type."""

    event_type: Emotion
    camera: str
    confidence: Share
    uncertainty: Share
    conflict: Share
    window: WindowKind
    start_s: Number
    end_s: Number
    person: int | None
    """The track; null when it is not clear who spoke."""
    time: datetime
    id: str
    """Of the event to look up for the rest."""

    @classmethod
    def read(cls, event: bytes, now: datetime) -> Self | None:
        """Do as `of`, with an event in JSON; one that another version wrote is not told."""
        try:
            return cls.of(EmotionEvent.model_validate_json(event), now)
        except ValidationError:
            return None

    @classmethod
    def of(cls, event: EmotionEvent, now: datetime) -> Self | None:
        """Return what to tell of an event; None unless it is final, trusted and fresh."""
        data = event.data
        if data.phase != "final" or not data.trusted or data.emotion is None:
            return None
        if (now - event.recordedtime).total_seconds() > FRESH_S:
            return None
        return cls(
            event_type=data.emotion,
            camera=data.camera,
            confidence=data.confidence,
            uncertainty=data.uncertainty,
            conflict=data.conflict,
            window=data.window.kind,
            start_s=data.window.start_s,
            end_s=data.window.end_s,
            person=data.person.track if data.person else None,
            time=event.time,
            id=event.id,
        )


class Availability(_Part):
    """Where to read whether an entity is there."""

    topic: str
    value_template: str | None = None


class Component(_Part):
    """One entity; the names are Home Assistant's."""

    platform: Literal["event", "sensor", "binary_sensor", "switch"]
    name: str
    unique_id: str
    default_entity_id: str
    state_topic: str
    command_topic: str | None = None
    value_template: str | None = None
    event_types: tuple[Emotion, ...] | None = None
    device_class: str | None = None
    options: tuple[Emotion, ...] | None = None
    state_class: str | None = None
    unit_of_measurement: str | None = None
    suggested_display_precision: int | None = None
    json_attributes_topic: str | None = None
    off_delay: int | None = None
    entity_category: str | None = None
    availability: tuple[Availability, ...] | None = None


class About(_Part):
    """The device that is a camera."""

    identifiers: tuple[str, ...]
    name: str
    manufacturer: str = "Credence"
    model: str
    sw_version: str


class Origin(_Part):
    """Who says so."""

    name: str = "Credence"
    sw_version: str


class Device(_Part):
    """A camera and its entities, as discovery wants them."""

    device: About
    origin: Origin
    components: dict[str, Component]
    availability: tuple[Availability, ...]
    availability_mode: Literal["all"] = "all"
    qos: Literal[1] = 1


class HomeAssistant:
    """Tells Home Assistant of the cameras of a node, below its ``discovery`` prefix."""

    def __init__(
        self, broker: Broker, node: str, discovery: str, *, switches: bool = False
    ) -> None:
        self._broker, self._node, self._switches = broker, node, switches
        levels = () if broker.prefix == "credence" else broker.prefix.split("/")
        self._id = "_".join(map(identifier, ("credence", *levels, node)))
        self._own = f"{discovery}/device/{self._id}"
        self._birth = f"{discovery}/status"
        self.filters = (self._birth, f"{self._own}/+/config")
        """The topics to listen to."""
        self.devices: dict[str, bytes] = {}
        """What is to be retained, by topic."""

    def add(self, camera: str) -> dict[str, bytes]:
        """Have a camera as a device; return what to retain, by topic."""
        added = {self._topic(camera): self._device(camera)}
        self.devices |= added
        return added

    def remove(self, camera: str) -> dict[str, bytes]:
        """Have a camera no longer; return what to retain, by topic."""
        self.devices.pop(self._topic(camera), None)
        return {self._topic(camera): b""}

    def answer(self, topic: str, payload: object, retained: bool) -> dict[str, bytes]:
        """Return what to retain, by topic, after a message on one of the filters.

        Home Assistant that has come up hears everything again; a camera that is no longer
        configured is removed.
        """
        if topic == self._birth:
            return self.devices if payload == _ONLINE and not retained else {}
        return {topic: b""} if payload and topic not in self.devices else {}

    def _topic(self, camera: str) -> str:
        return f"{self._own}/{identifier(camera)}/config"

    def _device(self, camera: str) -> bytes:
        own = f"{self._id}_{identifier(camera)}"
        node = Availability(topic=self._broker.topic(self._node, "availability"))
        status = self._broker.topic(self._node, camera, "status")
        device = Device(
            device=About(identifiers=(own,), name=camera, model=self._node, sw_version=_VERSION),
            origin=Origin(sw_version=_VERSION),
            components={
                key: Component.model_validate(
                    {
                        "unique_id": f"{own}_{key}",
                        "default_entity_id": f"{entity['platform']}.{_slug(camera)}_{key}",
                        **entity,
                    }
                )
                for key, entity in self._entities(camera, node).items()
            },
            availability=(
                node,
                Availability(topic=status, value_template="{{ value.split(':')[0] }}"),
            ),
        )
        return device.model_dump_json(exclude_none=True).encode()

    def _entities(self, camera: str, node: Availability) -> dict[str, dict[str, object]]:
        state = self._broker.topic(self._node, camera, "state")
        return {
            "emotion": {
                "platform": "sensor",
                "name": "Trusted emotion",
                "state_topic": state,
                "value_template": "{{ value_json.emotion if value_json.trusted else none }}",
                "device_class": "enum",
                "options": EMOTIONS,
                "json_attributes_topic": state,
            },
            "confidence": {
                "platform": "sensor",
                "name": "Confidence",
                "state_topic": state,
                "value_template": "{{ value_json.confidence * 100 }}",
                "state_class": "measurement",
                "unit_of_measurement": "%",
                "suggested_display_precision": 0,
            },
            "trusted": {
                "platform": "binary_sensor",
                "name": "Trusted",
                "state_topic": state,
                "value_template": "{{ 'ON' if value_json.trusted else 'OFF' }}",
                "off_delay": _OFF_DELAY_S,
            },
            "event": {
                "platform": "event",
                "name": "Trusted event",
                "state_topic": self._broker.topic(self._node, camera, "home_assistant"),
                "event_types": EMOTIONS,
            },
            "connected": {
                "platform": "binary_sensor",
                "name": "Connected",
                "state_topic": self._broker.topic(self._node, camera, "status"),
                "value_template": "{{ 'ON' if value.startswith('online') else 'OFF' }}",
                "device_class": "connectivity",
                "entity_category": "diagnostic",
                "availability": (node,),  # it says what the camera is, also when that is away
            },
            **(self._switch(camera, node) if self._switches else {}),
        }

    def _switch(self, camera: str, node: Availability) -> dict[str, dict[str, object]]:
        return {
            "enabled": {
                "platform": "switch",
                "name": "Enabled",
                "state_topic": self._broker.topic(self._node, camera, "enabled"),
                "command_topic": self._broker.topic(self._node, camera, "enabled", "set"),
                "availability": (node,),  # what is disabled can be enabled
            }
        }


def identifier(name: str) -> str:
    """Return a name in the letters that discovery takes; different names stay different."""
    if re.fullmatch(r"[a-zA-Z0-9-]+", name):
        return name
    told = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{re.sub(r'[^a-zA-Z0-9-]+', '-', name)}-{told}"


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "camera"
