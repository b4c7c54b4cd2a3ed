"""What tests of the streamer share."""

import inspect
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import av
import pytest
from blockbuster import blockbuster_ctx

from streamer.broker import Broker
from streamer.clip import make_clip
from streamer.event import EmotionEvent
from tests.media import AS_CAMERAS_DO
from tests.rtsp import RtspServer
from tests.streamer.broker import Mosquitto
from tests.streamer.events import event_of

MakeEvent = Callable[..., EmotionEvent]
SHORT_S = 6.0


@pytest.fixture(autouse=True)
def guarded_loop(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test in which our code blocks the loop."""
    if not inspect.iscoroutinefunction(getattr(request.node, "obj", None)):
        yield
        return
    with blockbuster_ctx(["streamer", "engines"]) as guard:
        for function in guard.functions.values():
            # A test's own picture, read when our code asks a test for the next frame.
            function.can_block_in("skimage/data/_fetchers.py", "_load")
        yield


@pytest.fixture(autouse=True)
def state_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the spools of nodes that a test starts out of the user's folder."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture(autouse=True)
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A runtime folder of this test's own, whose name is short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="c") as name:
        monkeypatch.setenv("XDG_RUNTIME_DIR", name)
        yield Path(name)


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A talking head of about twelve seconds."""
    pytest.importorskip("skimage", reason="the portrait comes with scikit-image")
    path: Path = tmp_path_factory.mktemp("clip") / "astronaut.mp4"
    make_clip(path)
    return path


@pytest.fixture(scope="session")
def short_clip(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its first six seconds: a sentence, and a rest."""
    path: Path = tmp_path_factory.mktemp("short") / "astronaut.mp4"
    with av.open(str(clip)) as whole, av.open(str(path), "w") as part:
        streams = {s.index: part.add_stream_from_template(s) for s in whole.streams}
        for packet in whole.demux():
            if packet.pts is not None and packet.pts * packet.time_base < SHORT_S:
                packet.stream = streams[packet.stream.index]
                part.mux(packet)
    return path


@pytest.fixture(scope="session")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, as a camera would encode it."""
    pytest.importorskip("skimage", reason="the portrait comes with scikit-image")
    path: Path = tmp_path_factory.mktemp("talk") / "astronaut.mov"
    make_clip(path, AS_CAMERAS_DO)
    return path


@pytest.fixture
def servers(talk: Path) -> Iterator[list[RtspServer]]:
    """Two cameras that show it."""
    running = [RtspServer(talk), RtspServer(talk)]
    yield running
    for server in running:
        server.close()


@pytest.fixture(scope="session")
def shared_mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """A running broker that all tests share: never kill it."""
    mosquitto = Mosquitto(tmp_path_factory.mktemp("mosquitto")).start()
    yield mosquitto
    mosquitto.kill()


@pytest.fixture
def broker(shared_mosquitto: Mosquitto, request: pytest.FixtureRequest) -> Broker:
    """The shared broker, with topics of this test alone."""
    return replace(shared_mosquitto.address, prefix=f"credence/{abs(hash(request.node.name))}")


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker of this test alone, not started yet, that may be killed and started again."""
    mosquitto = Mosquitto(tmp_path)
    yield mosquitto
    mosquitto.kill()


@pytest.fixture
def make_event() -> MakeEvent:
    """Make the n-th event of a camera, with other data where given."""
    return event_of


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 300 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("a small disk can be mounted by root alone")
    yield folder
    subprocess.run(["umount", folder], check=True)
