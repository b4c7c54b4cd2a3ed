"""The AsyncAPI document of what nodes publish and listen for, made from `streamer.topics`."""

import re
from importlib.metadata import version
from typing import Any, Final

import yaml
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from streamer.broker import KEEPALIVE_S
from streamer.config import Mqtt
from streamer.topics import AVAILABILITY, TOPICS, Topic

_BINDING: Final = {"bindingVersion": "0.2.0"}
_PARAMETERS: Final = {
    "prefix": {
        "description": "`mqtt.topic_prefix`; one level or several, joined by `/`.",
        "default": Mqtt.model_fields["topic_prefix"].default,
    },
    "node": {"description": "The name of the machine: `node`.", "examples": ["attic"]},
    "camera": {"description": "The name of a camera in `cameras`.", "examples": ["door"]},
    "discovery": {
        "description": "`mqtt.home_assistant`: the discovery prefix of Home Assistant.",
        "default": "homeassistant",
    },
    "nodeId": {
        "description": "Prefix and node, in letters that discovery takes.",
        "examples": ["credence_attic"],
    },
    "cameraId": {"description": "The camera, in such letters.", "examples": ["door"]},
}
_INTRODUCTION: Final = """\
What Credence publishes over MQTT, and listens for. The account for readers is docs/mqtt.md.
Everything is published at QoS 1. With MQTT 3.1.1 there are the same topics and payloads, without
content types, expiry and headers, which are user properties. Messages of what is not configured
are not sent."""


def page() -> str:
    """Return the document as YAML."""
    head = "# Made by scripts/docs from streamer/topics.py; change it there.\n"
    return head + yaml.safe_dump(document(), sort_keys=False, allow_unicode=True, width=100)


def document() -> dict[str, Any]:
    """Return the document."""
    used = {name for topic in TOPICS for name in parameters(topic)}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Credence",
            "version": version("credence"),
            "description": _INTRODUCTION,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "plain": _server("localhost:1883", "mqtt", "password"),
            "encrypted": _server("localhost:8883", "secure-mqtt", "password", "certificate"),
        },
        "channels": {topic.name: _channel(topic) for topic in TOPICS},
        "operations": {_operation_name(topic): _operation(topic) for topic in TOPICS},
        "components": {
            "schemas": _schemas(),
            "messages": {topic.name: _message(topic) for topic in TOPICS},
            "parameters": {name: _PARAMETERS[name] for name in _PARAMETERS if name in used},
            "securitySchemes": {
                "password": {"type": "userPassword"},
                "certificate": {"type": "X509"},
            },
        },
    }


def parameters(topic: Topic) -> list[str]:
    """Return the names in braces, in their order."""
    return re.findall(r"{(\w+)}", topic.levels)


def _server(host: str, protocol: str, *security: str) -> dict[str, Any]:
    will = {"topic": AVAILABILITY.levels, "qos": 1, "message": "offline", "retain": True}
    return {
        "host": host,
        "protocol": protocol,
        "protocolVersion": "5",
        "security": [_ref("components", "securitySchemes", name) for name in security],
        "bindings": {
            "mqtt": {
                "cleanSession": True,
                "lastWill": will,
                "keepAlive": KEEPALIVE_S,
                **_BINDING,
            }
        },
    }


def _channel(topic: Topic) -> dict[str, Any]:
    return {
        "address": topic.levels,
        "description": topic.says,
        "messages": {topic.name: _ref("components", "messages", topic.name)},
        "parameters": {name: _ref("components", "parameters", name) for name in parameters(topic)},
    }


def _operation(topic: Topic) -> dict[str, Any]:
    binding: dict[str, Any] = {"qos": 1}
    if not topic.listens:
        binding["retain"] = topic.delivery.retain
    if topic.delivery.expiry_s is not None:
        binding["messageExpiryInterval"] = topic.delivery.expiry_s
    return {
        "action": "receive" if topic.listens else "send",
        "channel": _ref("channels", topic.name),
        "messages": [_ref("channels", topic.name, "messages", topic.name)],
        "bindings": {"mqtt": binding | _BINDING},
    }


def _operation_name(topic: Topic) -> str:
    return ("receive" if topic.listens else "send") + topic.name[0].upper() + topic.name[1:]


def _message(topic: Topic) -> dict[str, Any]:
    said = topic.delivery.content_type
    if isinstance(topic.payload, str):
        payload: dict[str, Any] = {"type": "string", "pattern": topic.payload}
        headers = _ref("components", "schemas", topic.facts.__name__) if topic.facts else None
        beside = {"headers": headers} if headers else {}
        return {"contentType": "text/plain", **beside, "payload": payload}
    message = {
        "contentType": said or "application/json",
        "payload": _ref("components", "schemas", topic.payload.__name__),
    }
    binding = {"payloadFormatIndicator": 1, "contentType": said, **_BINDING}
    return message | ({"bindings": {"mqtt": binding}} if said else {})


def _schemas() -> dict[str, Any]:
    models: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        (topic.payload, "validation" if topic.listens else "serialization")
        for topic in TOPICS
        if not isinstance(topic.payload, str)
    ]
    models += [(topic.facts, "serialization") for topic in TOPICS if topic.facts]
    _, made = models_json_schema(models, ref_template="#/components/schemas/{model}")
    schemas: dict[str, Any] = made["$defs"]
    return schemas


def _ref(*path: str) -> dict[str, str]:
    return {"$ref": "#/" + "/".join(path)}
