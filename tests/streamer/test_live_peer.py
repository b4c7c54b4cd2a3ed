"""RTSP as another's server speaks it: gst-rtsp-server, where it can be had."""

import subprocess
import threading
from collections.abc import Iterator

import pytest

from streamer.addresses import Address
from streamer.flow import AudioChunk, Epoch, VideoFrame
from streamer.live import Live
from streamer.sampling import Sampling

PYTHON = "/usr/bin/python3"
SERVER = """
import gi
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer
Gst.init(None)
server = GstRtspServer.RTSPServer(address="127.0.0.1", service="0")
factory = GstRtspServer.RTSPMediaFactory(shared=True)
factory.set_launch(
    "( videotestsrc is-live=true ! video/x-raw,width=320,height=240,framerate=25/1"
    " ! x264enc tune=zerolatency key-int-max=10 ! rtph264pay name=pay0 pt=96"
    " audiotestsrc is-live=true ! audio/x-raw,rate=8000,channels=1 ! mulawenc"
    " ! rtppcmupay name=pay1 pt=0 )"
)
server.get_mount_points().add_factory("/test", factory)
server.attach(None)
print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
"""


@pytest.fixture
def peer() -> Iterator[str]:
    """The address of a running gst-rtsp-server."""
    try:
        process = subprocess.Popen(
            [PYTHON, "-c", SERVER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
    except OSError:
        pytest.skip(f"there is no {PYTHON}")
    with process:
        assert process.stdout
        port = process.stdout.readline().strip()
        if not port:
            pytest.skip("apt-get install gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-ugly")
        yield f"rtsp://127.0.0.1:{port}/test"
        process.kill()


@pytest.mark.timeout(30)
@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_another_server(peer: str, transport: str) -> None:
    camera = Live("peer", Address.parse(peer, transport), Sampling(0.4, 320), 8.0)
    kinds: dict[type, int] = {}
    for item in camera.read(threading.Event()):
        if isinstance(item, Epoch):
            assert item.media.startswith("h264 320x240")
            assert item.media.endswith("pcm_mulaw 8000 Hz")
        elif isinstance(item, VideoFrame | AudioChunk) and item.pts_s > 2:
            break
        kinds[type(item)] = kinds.get(type(item), 0) + 1
    assert kinds[VideoFrame] >= 4
    assert kinds[AudioChunk] >= 10  # of an eighth of a second
