"""Cameras fail in every way we know, all at once, at one real node; one camera never does."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import av

from streamer.clip import make_clip
from tests.chaos.row import Row
from tests.chaos.scene import Node, Scene, own_hosts
from tests.media import AS_CAMERAS_DO
from tests.streamer.broker import Mosquitto

Fault = Callable[[Scene], str]
"""Does something to a camera, waits for what is promised, and says what was seen."""

CALM = "calm"
_QUIET_S = 8.0
"""The longest that nothing comes of a camera that is well: an utterance, and its words."""


def kill(scene: Scene) -> str:
    """Kill the camera, and start it again after a while."""
    scene.wait_for_event()
    scene.camera.kill()
    scene.wait_until_offline("it ended the connection", "the connection was lost")
    time.sleep(1)
    return f"offline, said why; {scene.back()}"


def restart(scene: Scene) -> str:
    """Kill the camera, and start it again at once."""
    scene.wait_for_event()
    scene.camera.kill()
    return scene.back()


def stall(scene: Scene) -> str:
    """Stop the camera in its tracks, and let it go on."""
    scene.wait_for_event()
    stopped_s = time.monotonic()
    scene.camera.stop()
    scene.wait_until_offline("the connection was lost (nothing came any more)")
    noticed_s = time.monotonic() - stopped_s
    scene.camera.go_on()
    on_s = time.monotonic()
    scene.wait_until_online()
    return f"offline after {noticed_s:.1f} s; {scene.events_since(on_s)}"


def slow(scene: Scene) -> str:
    """Let less through than the camera has to send."""
    scene.wait_for_event()
    scene.camera.kill()
    scene.start(bytes_per_s=scene.camera.rate / 2)
    began_s = time.monotonic()
    scene.wait_for_event()
    waited_s = time.monotonic() - began_s
    time.sleep(12)
    assert scene.node.online(scene.name), "it went offline"
    scene.camera.kill()
    return f"stays online at half its rate, events after {waited_s:.1f} s; {scene.back()}"


def change(scene: Scene) -> str:
    """Let the camera come back with another codec, size and without sound, and then as it was."""
    scene.wait_for_event()
    scene.camera.kill()
    scene.wait_until_offline()
    scene.start(clip=scene.camera.clip.with_name("other.avi"))
    scene.wait_for_status("online: it has changed, before it sent h264", "it sends no sound")
    scene.wait_for_event()
    scene.camera.kill()
    scene.wait_until_offline()
    return f"the change is said, faces alone are judged; {scene.back()}"


def damage(scene: Scene) -> str:
    """Let one packet in ten come damaged or cut short, for some seconds in mid-stream."""
    scene.wait_for_event()
    scene.camera.kill()
    scene.start(damaged_s=(3.0, 6.0))
    time.sleep(6.5)
    return scene.events_since(time.monotonic())


def step_back(scene: Scene) -> str:
    """Set the camera's clock back by an hour."""
    scene.wait_for_event()
    scene.camera.kill()
    scene.start(back_at_s=4.0)
    scene.wait_for_line("its clock jumps")
    jumped = f"a new epoch; {scene.events_since(time.monotonic())}"
    times = [event["time"] for event in scene.node.events(scene.name)]
    assert times == sorted(times), "event times go back"
    return jumped


def unknown(scene: Scene) -> str:
    """Give the camera a host name that is not known at first."""
    scene.wait_until_offline(f"host name {scene.host} not found")
    scene.node.know(scene.host)
    return f"offline, said why; {scene.events_since(time.monotonic())}"


ALL: Mapping[str, Fault] = {
    fault.__name__.replace("_", "-"): fault
    for fault in (kill, restart, stall, slow, change, damage, step_back, unknown)
}
QUICK: Sequence[str] = ("kill", "change", "damage", "step-back", "unknown")


def rows(folder: Path, _seed: int, names: Sequence[str] = tuple(ALL)) -> Iterator[Row]:
    """Let cameras fail in these ways, all at once; yield what came of each."""
    if unknown.__name__ in names and not own_hosts():
        names = [name for name in names if name != unknown.__name__]
        yield Row(
            _what(unknown), "not run: no process here may have a file /etc/hosts of its own", True
        )
    clip = folder / "talk.mov"
    make_clip(clip, AS_CAMERAS_DO, side_px=240)
    write_other(clip, folder / "other.avi")
    with ExitStack() as closing:
        broker = Mosquitto(folder).start()
        closing.callback(broker.kill)
        node = closing.enter_context(Node(folder, broker.port, clip, (*names, CALM)))
        with ThreadPoolExecutor(len(names)) as pool:
            scenes = [Scene(name, node) for name in names]
            yield from pool.map(partial(_row, node), scenes)
        ended = node.end()
        gap_s = node.longest_gap_s(CALM)
        yield Row(
            "a camera beside them", f"never silent for more than {gap_s:.1f} s", gap_s < _QUIET_S
        )
        yield Row("the node", ended, ended == "ends when told, without a traceback")


def _row(node: Node, scene: Scene) -> Row:
    fault = ALL[scene.name]
    try:
        return Row(_what(fault), fault(scene), good=True)
    except AssertionError as error:
        return Row(_what(fault), f"{error}; status {node.status(scene.name)!r}", good=False)


def _what(fault: Fault) -> str:
    return (fault.__doc__ or "").rstrip(".")


def write_other(clip: Path, path: Path) -> None:
    """Write the pictures of a clip in MPEG-4, larger and without sound."""
    with av.open(str(clip)) as given, av.open(str(path), "w") as made:
        rate_hz = given.streams.video[0].average_rate
        video = made.add_stream("mpeg4", rate=rate_hz, options={"g": "10", "b": "1000000"})
        assert isinstance(video, av.VideoStream)
        video.width, video.height, video.pix_fmt = 320, 320, "yuv420p"
        for frame in given.decode(video=0):
            larger = frame.reformat(320, 320)
            larger.pict_type = av.video.frame.PictureType.NONE
            made.mux(video.encode(larger))
        made.mux(video.encode())
