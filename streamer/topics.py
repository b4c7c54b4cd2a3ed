"""Every topic of a node: what is on it, and how it is sent. `docs/mqtt.md` explains them, and
`docs/asyncapi.yaml` is made from this table."""

from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel

from streamer.broker import KEPT_S, Delivery
from streamer.event import CONTENT_TYPE, EmotionEvent
from streamer.explanation import ExplanationEvent
from streamer.sinks.home_assistant import FRESH_S, Device, TrustedEvent
from streamer.spoken import Spoken
from streamer.state import CameraState
from streamer.stats import NodeInfo, NodeStats
from streamer.swap import Answer, Wanted

_JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Topic:
    """What is published on one topic, or listened for."""

    name: str
    levels: str
    """The topic, with parameters in braces."""
    says: str
    payload: type[BaseModel] | str
    """A model of the JSON; or the pattern of the text."""
    delivery: Delivery
    listens: bool = False
    """The node receives it; else it sends it."""


AVAILABILITY = Topic(
    "availability",
    "{prefix}/{node}/availability",
    "Whether the node works: its birth, and its last will.",
    "^(online|offline)$",
    Delivery(retain=True),
)
INFO = Topic(
    "info",
    "{prefix}/{node}/info",
    "What the node is: its cameras, its engines and what runs them, its policy.",
    NodeInfo,
    Delivery(retain=True, content_type=_JSON),
)
STATS = Topic(
    "stats",
    "{prefix}/{node}/stats",
    "How the node is doing, every 30 s.",
    NodeStats,
    Delivery(retain=True, content_type=_JSON),
)
STATUS = Topic(
    "status",
    "{prefix}/{node}/{camera}/status",
    "Whether the camera works, and what is wrong with it. Counts while its node is online.",
    "^(online|offline)(: .+)?$",
    Delivery(retain=True),
)
ENABLED = Topic(
    "enabled",
    "{prefix}/{node}/{camera}/enabled",
    "Whether the camera is looked at. Empty, it was removed, as on status and state.",
    "^(ON|OFF)$",
    Delivery(retain=True),
)
ENABLE = Topic(
    "enable",
    "{prefix}/{node}/{camera}/enabled/set",
    "Switches the camera, with mqtt.switches. A retained one is ignored.",
    "^(ON|OFF)$",
    Delivery(),
    listens=True,
)
EVENT = Topic(
    "event",
    "{prefix}/{node}/{camera}/event",
    "One judged window: a CloudEvent. At least once; remove duplicates by (source, id).",
    EmotionEvent,
    Delivery(content_type=CONTENT_TYPE, expiry_s=KEPT_S),
)
EXPLANATION = Topic(
    "explanation",
    "{prefix}/{node}/{camera}/explanation",
    "A later explanation of an event, by a language model: a CloudEvent. Off by default.",
    ExplanationEvent,
    Delivery(content_type=CONTENT_TYPE, expiry_s=KEPT_S),
)
STATE = Topic(
    "state",
    "{prefix}/{node}/{camera}/state",
    "What the last final event said, for dashboards.",
    CameraState,
    Delivery(retain=True, content_type=_JSON),
)
TRANSCRIPT = Topic(
    "transcript",
    "{prefix}/{node}/{camera}/transcript",
    "What is said, where transcripts are published.",
    Spoken,
    Delivery(content_type=_JSON, expiry_s=KEPT_S),
)
SWAPPED = Topic(
    "swapped",
    "{prefix}/{node}/engines/swapped",
    "What came of a swap of engines, whoever asked.",
    Answer,
    Delivery(content_type=_JSON, expiry_s=FRESH_S),
)
SWAP = Topic(
    "swap",
    "{prefix}/{node}/engines/swap",
    "Asks the node to swap engines, with mqtt.swap_from. A retained one is ignored.",
    Wanted,
    Delivery(),
    listens=True,
)
TRUSTED = Topic(
    "homeAssistantEvent",
    "{prefix}/{node}/{camera}/home_assistant",
    "A trusted final event, flat, for an event entity of Home Assistant.",
    TrustedEvent,
    Delivery(content_type=_JSON, expiry_s=FRESH_S),
)
DISCOVERY = Topic(
    "homeAssistantDevice",
    "{discovery}/device/{nodeId}/{cameraId}/config",
    "Makes the camera a device of Home Assistant. Empty, it removes it.",
    Device,
    Delivery(retain=True, content_type=_JSON),
)
BIRTH = Topic(
    "homeAssistantStatus",
    "{discovery}/status",
    "Home Assistant's own; after `online` the node says its devices again.",
    "^(online|offline)$",
    Delivery(),
    listens=True,
)

TOPICS: Final = (
    AVAILABILITY,
    INFO,
    STATS,
    STATUS,
    ENABLED,
    ENABLE,
    EVENT,
    EXPLANATION,
    STATE,
    TRANSCRIPT,
    SWAPPED,
    SWAP,
    TRUSTED,
    DISCOVERY,
    BIRTH,
)
