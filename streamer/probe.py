"""`credence check`: opens what a configuration names, and says in one line each what is there."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiomqtt
from aiomqtt import ProtocolVersion

from streamer.broker import Broker, Client
from streamer.config import Camera
from streamer.flow import AudioChunk, Epoch, Media, Notice, VideoFrame
from streamer.handover import Handover
from streamer.link import plain_reason
from streamer.live import CameraError, Live
from streamer.narrator import Model, UnansweredError
from streamer.sampling import Sampling
from streamer.sinks.store_file import StoreError, StoreFile

PATIENCE_S = 8.0
"""How long a camera, a broker or a language model may take to show that it works."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one camera, broker, language model or file."""

    good: bool
    sentence: str


async def probe_all(
    cameras: tuple[Camera, ...], broker: Broker | None, model: Model | None = None
) -> list[Finding]:
    """Probe everything at once; return findings in this order."""
    async with asyncio.TaskGroup() as group:
        work = [
            group.create_task(probe_camera(camera), name=f"probe {camera.name}")
            for camera in cameras
        ]
        if broker:
            work.append(group.create_task(probe_broker(broker), name="probe broker"))
        if model:
            work.append(group.create_task(probe_model(model), name="probe language model"))
    return [task.result() for task in work]


async def probe_camera(camera: Camera, patience_s: float = PATIENCE_S) -> Finding:
    """Connect to a camera until pictures and sound, as far as it has them, have come."""
    if not camera.enabled:
        return Finding(True, f"camera {camera.name}: disabled")
    source = Live(camera.name, camera.address, Sampling(0.4, 64), patience_s)
    # A connection that hangs ends itself a little earlier, and knows why.
    try:
        async with (
            asyncio.timeout(patience_s + 1),
            Handover[Media | Notice](source.read, name="probe") as items,
        ):
            return Finding(True, f"camera {camera.name}: {await _first_of_each(aiter(items))}")
    except CameraError as error:
        return Finding(False, str(error))
    except TimeoutError:
        return Finding(False, f"camera {camera.name}: it connects, but nothing comes")


async def _first_of_each(media: AsyncIterator[Media | Notice]) -> str:
    """Return what the epoch says, once a picture and sound have come where it promises them."""
    missing: set[type] = set()
    said = ""
    async for item in media:
        if isinstance(item, Epoch):
            said = item.media
            missing = {VideoFrame} if item.has_video else set()
            missing |= {AudioChunk} if item.has_audio else set()
        missing.discard(type(item))
        if not missing:
            break
    return said


async def probe_broker(broker: Broker, patience_s: float = PATIENCE_S) -> Finding:
    """Connect to a broker as a node would, and leave again."""
    for protocol, name in ((ProtocolVersion.V5, "5"), (ProtocolVersion.V311, "3.1.1")):
        try:
            async with (
                asyncio.timeout(patience_s),
                Client(broker, protocol=protocol, identifier="credencecheck"),
            ):
                return Finding(True, f"broker {broker.address}: answers, MQTT {name}")
        except (aiomqtt.MqttError, UnicodeError, TimeoutError) as error:
            reason = plain_reason(error)
    return Finding(False, f"broker {broker.address}: {reason}")


async def probe_model(model: Model, patience_s: float = PATIENCE_S) -> Finding:
    """Ask an endpoint which models it has; nothing of any camera is sent."""
    here = f"language model at {model.url}"
    try:
        offered = await model.offers(patience_s)
    except UnansweredError as error:
        return Finding(False, f"{here}: {error.problem}")
    finally:
        await model.close()
    if offered is None:
        return Finding(True, f"{here}: answers, and does not tell which models it has")
    if not {model.name, f"{model.name}:latest"} & {*offered}:  # Ollama adds what is left out
        some = ", ".join(sorted(offered)[:5]) or "none"
        return Finding(False, f"{here}: it has no {model.name!r}; it has {some}")
    return Finding(True, f"{here}: answers, and has {model.name}")


def probe_spool(folder: Path) -> Finding:
    """Look whether events could wait in a folder, or in one that can be made. Blocks."""
    there = next(each for each in (folder, *folder.parents) if each.exists())
    if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
        return Finding(True, f"spool {folder}: events can wait there")
    problem = "this user may not write there" if there.is_dir() else f"{there} is no folder"
    return Finding(False, f"spool {folder}: {problem}; set spool.folder to another")


def probe_store(path: Path) -> Finding:
    """Try whether events could be kept in a file. Blocks."""
    try:
        StoreFile.probe(path)
    except StoreError as error:
        return Finding(False, f"store {error}")
    return Finding(True, f"store {path}: events can be kept there")
