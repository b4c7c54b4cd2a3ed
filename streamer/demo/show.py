"""The demonstration: camera, pipeline and broker are real, and all are on this machine."""

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import repeat
from pathlib import Path

from pydantic import SecretStr

from streamer.broker import Broker
from streamer.clip import make_clip
from streamer.config import Camera, Config
from streamer.demo.broker import private_broker
from streamer.demo.rtp import Packet, describe, packets
from streamer.demo.rtsp import serving
from streamer.event import EmotionEvent
from streamer.faces import open_finder
from streamer.judging import open_judging
from streamer.node import Node, run_until_signalled
from streamer.sinks.mqtt import MqttSink
from streamer.watch import View, watch
from streamer.worker import Worker

TITLE = "a portrait of Eileen Collins (NASA), speaking by espeak-ng"
SILENT = "espeak-ng is not installed, so the portrait is silent: there is no voice to judge"
NEXT_STEPS = """
These events came by RTSP from a camera, and by MQTT from a broker, both made for the occasion.
Yours next:
  credence replay FILE                              a recording
  credence run webcam:0 --output -                  a webcam
  credence run rtsp://USER:PASSWORD@HOST/PATH -o -  a network camera
  credence run configs/rtsp-8.yaml                  many cameras, to your MQTT broker;
  credence watch                                    and there, a live table of them"""

_AS_CAMERAS_DO = {"preset": "ultrafast", "bf": "0", "g": "25"}
_SIDE_PX = 320
"""Small, so that a small machine keeps up without YuNet."""
_LAST_PACKETS_S = 0.5
"""How long the pipeline may take to read what was sent last."""
_LAST_EVENTS_S = 2.0


@dataclass(frozen=True, slots=True)
class _Clip:
    description: str
    packets: tuple[Packet, ...]
    spoken: bool


@dataclass(frozen=True, slots=True)
class _Following:
    """A view that also tells when the node has taken leave, after its last event."""

    view: View
    left: asyncio.Event = field(default_factory=asyncio.Event)

    def event(self, name: str, event: EmotionEvent, payload: bytes) -> None:
        self.view.event(name, event, payload)

    def presence(self, node: str, camera: str | None, state: str) -> None:
        self.view.presence(node, camera, state)
        if camera is None and state == "offline":
            self.left.set()

    def note(self, text: str) -> None:
        self.view.note(text)


async def show(
    config: Config, view: View, mosquitto: str | None, begin: Callable[[float], None]
) -> None:
    """Make the clip, play it through everything once, and show its events.

    ``mosquitto`` is the command; None takes the embedded broker. ``begin`` is called with the
    clip's length in seconds when it begins. An interrupt ends it early, and cleanly.
    """
    settings = config.transcript.model_copy(update={"publish": True})
    config = config.model_copy(update={"transcript": settings})
    with closing(Worker("demo")) as worker:
        clip = await worker.run(_made)
        judging = await worker.run(open_judging, config, live=True)
        finder = await worker.run(open_finder, config.faces)
    if not clip.spoken:
        view.note(SILENT)
    async with private_broker(mosquitto) as broker, serving(clip.description, clip.packets) as it:
        camera = Camera(name="astronaut", url=SecretStr(it.url))
        judging = replace(judging, config=config.model_copy(update={"cameras": (camera,)}))
        with _ended_after(it.played, node := Node(judging, [finder])):
            begin(clip.packets[-1].due_s)
            await _followed(node, broker, view)


def _made() -> _Clip:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "astronaut.mp4"
        spoken = make_clip(path, _AS_CAMERAS_DO, _SIDE_PX)
        return _Clip(describe(path), tuple(packets(path)), spoken)


@contextmanager
def _ended_after(played: asyncio.Event, node: Node) -> Iterator[None]:
    """Stop a node soon after its camera has played the clip."""

    async def wait() -> None:
        await played.wait()
        await asyncio.sleep(_LAST_PACKETS_S)
        node.stop()

    task = asyncio.create_task(wait(), name="demo end")
    try:
        yield
    finally:
        task.cancel()


async def _followed(node: Node, broker: Broker, view: View) -> None:
    """Run a node, and show what it publishes to the last event."""
    following = _Following(view)
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(
            watch(broker, following, delays=lambda: repeat(0.1)), name="demo watch"
        )
        await run_until_signalled(node, None, MqttSink(broker, node.judging.config.node))
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_EVENTS_S):
                await following.left.wait()
        watching.cancel()
