"""Cameras of every kind, on real servers: media comes, and what is wrong is one sentence."""

import http.server
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
from structlog.testing import capture_logs

from streamer.addresses import Address
from streamer.flow import AudioChunk, Epoch, Media, Notice, VideoFrame
from streamer.live import CameraError, Live, device
from streamer.picture import PictureWatch
from streamer.sampling import Sampling
from tests.media import AS_CAMERAS_DO, write_media
from tests.rtsp import RtspServer
from tests.streamer.broker import free_port

CODECS = {"aac": 16_000, "libopus": 48_000, "pcm_mulaw": 8_000}
MakeServer = Callable[..., RtspServer]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str | None, Path]:
    folder = tmp_path_factory.mktemp("clips")
    make = partial(write_media, seconds=2, options=AS_CAMERAS_DO)
    made: dict[str | None, Path] = {
        # No container takes all three.
        codec: make(
            folder / f"{codec}{'.mkv' if codec == 'libopus' else '.mov'}", sound=codec, sound_hz=hz
        )
        for codec, hz in CODECS.items()
    }
    made[None] = make(folder / "silent.mov", sound=None)
    return made


@pytest.fixture
def serve(clips: dict[str | None, Path]) -> Iterator[MakeServer]:
    servers: list[RtspServer] = []

    def make(sound: str | None = "aac", **options: object) -> RtspServer:
        servers.append(RtspServer(clips[sound], **options))  # type: ignore[arg-type]
        return servers[-1]

    yield make
    for server in servers:
        server.close()


def live(url: str, transport: str = "tcp", timeout_s: float = 3.0) -> Live:
    return Live("door", Address.parse(url, transport), Sampling(0.4, 320), timeout_s)


def some(camera: Live, seconds: float = 0.9) -> list[Media | Notice]:
    """Return so much media of a camera."""
    found: list[Media | Notice] = []
    for item in camera.read(threading.Event()):
        found.append(item)
        if isinstance(item, VideoFrame | AudioChunk) and item.pts_s > seconds:
            break
    return found


def problem(camera: Live) -> str:
    with pytest.raises(CameraError) as caught:
        list(camera.read(threading.Event()))
    said = str(caught.value)
    assert said.startswith("camera door: ")
    assert "\n" not in said
    for secret in ("s3cret", "admin", "rtsp://"):
        assert secret not in said
    return said


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("sound", CODECS)
def test_rtsp_gives_pictures_and_sound(serve: MakeServer, sound: str, transport: str) -> None:
    server = serve(sound)
    epoch, *media = some(live(server.url, transport))
    pictures = [item for item in media if isinstance(item, VideoFrame)]
    pcm = np.concatenate([item.pcm for item in media if isinstance(item, AudioChunk)])
    spectrum = np.abs(np.fft.rfft(pcm[:8000].astype(float)))
    assert isinstance(epoch, Epoch)
    assert (epoch.has_video, epoch.has_audio) == (True, True)
    assert epoch.media.startswith("h264 64x48 at 25/s, ")
    assert len(pictures) >= 2
    assert pictures[0].grey.shape == (48, 64)
    assert abs(int(spectrum.argmax()) - 220) <= 3  # 440 Hz in half a second
    assert transport.upper() in server.transports[0] or transport == "udp"


@pytest.mark.parametrize("decoder", ["cuda", "vaapi"])
def test_the_processor_decodes_where_no_card_does(
    serve: MakeServer, decoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamer.live.hwdevices_available", list)  # also where there is a card
    device.cache_clear()
    camera = replace(live(serve().url), decoder=decoder)
    with capture_logs() as logs:
        media = some(camera) + some(camera)
    device.cache_clear()
    assert any(isinstance(item, VideoFrame) for item in media)
    said = [log["event"] for log in logs if "decodes no pictures" in log["event"]]
    assert len(said) == 1
    assert said[0].startswith(f"{decoder} decodes no pictures here, the processor does")


def test_rtsp_without_sound(serve: MakeServer) -> None:
    epoch, *media = some(live(serve(None).url))
    assert isinstance(epoch, Epoch)
    assert (epoch.has_video, epoch.has_audio) == (True, False)
    assert epoch.media.endswith("no sound")
    assert media


def test_epoch_is_named_by_its_first_packet(serve: MakeServer) -> None:
    camera = live(serve().url)
    before = datetime.now(UTC)
    first, again = some(camera, 0.1)[0], some(camera, 0.1)[0]
    assert isinstance(first, Epoch)
    assert isinstance(again, Epoch)
    assert before < first.began < again.began <= datetime.now(UTC)
    assert first.id == str(round(first.began.timestamp() * 1000)) != again.id


@pytest.mark.parametrize("scheme", ["Basic", "Digest"])
def test_rtsp_login(serve: MakeServer, scheme: str) -> None:
    server = serve(login=("admin", "s3cret/#"), scheme=scheme)
    assert some(live(server.with_login("admin", "s3cret%2F%23")), 0.1)
    assert "wrong user name or password" in problem(live(server.with_login("admin", "s3cret")))
    assert "it wants a user name and password" in problem(live(server.url))


def test_rtsp_without_such_a_stream(serve: MakeServer) -> None:
    url = serve().with_login("admin", "s3cret").replace("/clip", "/other")
    assert "there is no such stream" in problem(live(url))


def test_rtsp_refused() -> None:
    assert "connection refused" in problem(live(f"rtsp://admin:s3cret@127.0.0.1:{free_port()}/x"))


def test_rtsp_of_a_port_that_speaks_something_else(web: str) -> None:
    said = problem(live(web.replace("http://", "rtsp://")))
    assert said == "camera door: it does not answer as RTSP does; is the port right?"


def test_rtsp_of_an_unknown_host() -> None:
    said = problem(live("rtsp://admin:s3cret@no-such-host.invalid/x"))
    assert "host name no-such-host.invalid not found" in said


def test_rtsp_of_a_host_that_does_not_answer(serve: MakeServer) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"rtsp://admin:s3cret@127.0.0.1:{silent.getsockname()[1]}/x"
        assert "no answer in time" in problem(live(url, timeout_s=0.5))


def test_a_killed_server_is_a_loss(serve: MakeServer) -> None:
    server = serve()
    media = live(server.url).read(threading.Event())
    next(media)
    server.kill()
    with pytest.raises(CameraError, match=r"it ended the connection|was lost"):
        list(media)
    server.start()
    assert isinstance(some(live(server.url), 0.1)[0], Epoch)


def test_a_stalled_server_is_a_loss(serve: MakeServer) -> None:
    server = serve()
    media = live(server.url, timeout_s=1).read(threading.Event())
    next(media)
    server.stalled.set()
    with pytest.raises(CameraError, match="nothing came any more"):
        list(media)


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """A web server for a folder; anything below /secret wants a login."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def send_head(self):  # type: ignore[no-untyped-def]
            if self.path.startswith("/secret"):
                self.send_error(401)
                return None
            return super().send_head()

        def log_message(self, *_: object) -> None:
            pass

    handler = partial(Handler, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def write_hls(folder: Path, clip: Path) -> None:
    options = {"hls_time": "0.4", "hls_list_size": "0"}
    with (
        av.open(str(clip)) as given,
        av.open(str(folder / "live.m3u8"), "w", format="hls", options=options) as made,
    ):
        streams = {s.index: made.add_stream_from_template(s) for s in given.streams}
        for packet in given.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                made.mux(packet)


def test_hls_comes_at_its_own_pace_and_its_end_is_a_loss(
    web: str, tmp_path: Path, clips: dict[str | None, Path]
) -> None:
    write_hls(tmp_path, clips["aac"])
    began = time.monotonic()
    found: list[Media | Notice] = []
    with pytest.raises(CameraError, match="it ended the connection"):
        found.extend(live(f"{web}/live.m3u8").read(threading.Event()))
    assert time.monotonic() - began > 1.5
    assert {type(item) for item in found} == {Epoch, VideoFrame, AudioChunk}


def test_http_problems(web: str, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<p>no media</p>")
    login = web.replace("//", "//admin:s3cret@")
    assert "there is no such stream" in problem(live(f"{login}/none.m3u8"))
    assert "wrong user name or password" in problem(live(f"{login}/secret/live.m3u8"))
    assert "not video or sound" in problem(live(f"{login}/page.html"))


def test_hls_never_reads_files_of_this_machine(
    web: str, tmp_path: Path, clips: dict[str | None, Path]
) -> None:
    playlist = (
        f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfile://{clips['aac']}\n#EXT-X-ENDLIST\n"
    )
    (tmp_path / "evil.m3u8").write_text(playlist)
    problem(live(f"{web}/evil.m3u8"))


def test_lavfi_is_paced() -> None:
    began = time.monotonic()
    found = some(live("lavfi:testsrc=size=64x48:rate=25[out0];sine[out1]"))
    assert time.monotonic() - began > 0.7
    assert {type(item) for item in found} == {Epoch, VideoFrame, AudioChunk}


@pytest.mark.parametrize("kind", ["rtsp", "lavfi"])
def test_a_machines_clock_that_is_set_begins_a_new_epoch(
    serve: MakeServer, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = serve().url if kind == "rtsp" else "lavfi:testsrc=size=64x48:rate=25[out0];sine[out1]"
    set_by_s = 0.0
    monkeypatch.setattr("streamer.arrivals.time.time", lambda: time.monotonic() + set_by_s)
    epochs: list[Epoch] = []
    sound: list[list[float]] = []
    for item in live(url).read(threading.Event()):
        if isinstance(item, Epoch):
            epochs.append(item)
            sound.append([])
        elif isinstance(item, AudioChunk):
            sound[-1].append(item.pts_s)
            set_by_s = -3600.0 if item.pts_s > 0.6 else set_by_s
            if len(epochs) == 2 and item.pts_s > 0.3:
                break
    assert len(epochs) == 2
    for times_s in sound:
        assert times_s[0] == pytest.approx(0.0, abs=0.15)
        assert np.diff(times_s) == pytest.approx(0.1, abs=0.06)


def test_a_black_picture_stays_black_in_a_new_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    set_by_s = 0.0
    monkeypatch.setattr("streamer.arrivals.time.time", lambda: time.monotonic() + set_by_s)
    camera = replace(
        live("lavfi:color=black:size=64x48:rate=25"), watch=lambda: PictureWatch(black_after_s=0.7)
    )
    said: list[list[str]] = []
    for item in camera.read(threading.Event()):
        if isinstance(item, Epoch):
            said.append([])
        elif isinstance(item, Notice):
            said[-1].append(item.sentence.partition(";")[0])
            set_by_s = -3600.0
        elif isinstance(item, VideoFrame) and len(said) == 2 and item.pts_s > 1.3:
            break
    assert said == [["the picture is black"]] * 2


def test_lavfi_that_is_none() -> None:
    assert "cannot be opened" in problem(live("lavfi:nonsense"))


def test_a_file_is_paced_and_ends(clips: dict[str | None, Path]) -> None:
    began = time.monotonic()
    found = list(live(str(clips["aac"])).read(threading.Event()))
    assert time.monotonic() - began > 1.5
    assert len([item for item in found if isinstance(item, VideoFrame)]) == 5


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("none.mp4", "there is no such file"),
        ("webcam:99", "there is no such device"),
        ("/dev/video99", "there is no such device"),
    ],
)
def test_what_is_not_there(url: str, says: str) -> None:
    assert says in problem(live(url))


def test_read_stops_when_told(serve: MakeServer) -> None:
    stop = threading.Event()
    media = live(serve().url).read(stop)
    next(media)
    stop.set()
    assert len(list(media)) <= 2


def test_a_packet_that_ffmpeg_hands_out_after_the_time_limit_ends_no_stall(
    serve: MakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    camera = live(serve().url)
    now_s, handed = 0.0, 0

    class Stalled:
        def __init__(self, container: av.container.InputContainer) -> None:
            self.streams, self._container = container.streams, container

        def demux(self, tracks: object) -> Iterator["av.Packet[av.stream.Stream]"]:
            nonlocal now_s, handed
            for packet in self._container.demux(tracks):
                now_s, handed = now_s + camera.timeout_s * (handed == 5), handed + 1
                yield packet

    @contextmanager
    def opened(_camera: Live) -> Iterator[Stalled]:
        with av.open(camera.address.url, options=camera.address.options(3.0)) as container:
            yield Stalled(container)

    monkeypatch.setattr(Live, "_opened", opened)
    monkeypatch.setattr("streamer.live.time", SimpleNamespace(monotonic=lambda: now_s))
    with pytest.raises(CameraError, match="nothing came any more"):
        list(camera.read(threading.Event()))
    assert handed == 6
