"""Cameras whose sound, pictures or stamps fail while they stay connected: a real server each."""

import asyncio
import shutil
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from streamer.addresses import Address
from streamer.clip import make_clip
from streamer.config import Vad, Windows
from streamer.demo.rtp import Packet
from streamer.faces import Place, find_faces
from streamer.flow import AudioChunk, Epoch, Media, Notice, VideoFrame, Window
from streamer.handover import Handover
from streamer.live import CameraError, Live
from streamer.sampling import Sampling
from streamer.speech import cut_speech
from streamer.windows import cut_windows
from streamer.worker import Worker
from tests.media import AS_CAMERAS_DO
from tests.rtsp import RtspServer

PICTURES, SOUND = 0, 1
HZ = {PICTURES: 90_000, SOUND: 16_000}
ENDS_S = 12.0

pytestmark = [
    pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed"),
    pytest.mark.alone,
    pytest.mark.timeout(90),
]


def without(track: int, from_s: float, to_s: float) -> Callable[[Packet], Packet | None]:
    def change(packet: Packet) -> Packet | None:
        return None if packet.track == track and from_s <= packet.due_s < to_s else packet

    return change


def sound_is_stamped_a_second_late(packet: Packet) -> Packet:
    said = packet.control or packet.track == PICTURES
    return packet if said else packet.stamped(HZ[SOUND])


def set_back_an_hour(packet: Packet) -> Packet:
    return packet.stamped(-3600 * HZ[packet.track]) if packet.due_s >= 5.5 else packet


def wraps_after_three_seconds(packet: Packet) -> Packet:
    zero = 2**32 - 3 * HZ[packet.track]
    return packet.stamped(zero - _first(packet))


_firsts: dict[int, int] = {}


def _first(packet: Packet) -> int:
    at = 16 if packet.control else 4
    return _firsts.setdefault(packet.track, int.from_bytes(packet.data[at : at + 4], "big"))


def damaged(packet: Packet) -> Packet:
    if packet.control or packet.data[3] % 16:
        return packet
    return replace(packet, data=packet.data[:12] + packet.data[:11:-1])


CHANGES: dict[str, Callable[[Packet], Packet | None]] = {
    "sound stops": without(SOUND, 2.5, 7.0),
    "pictures stop": without(PICTURES, 1.5, 9.0),
    "sound stamped late": sound_is_stamped_a_second_late,
    "set back": set_back_an_hour,
    "wraps": wraps_after_three_seconds,
    "damaged": damaged,
}


@dataclass
class Seen:
    """What came of one camera."""

    epochs: list[Epoch] = field(default_factory=list)
    media: list[tuple[int, Media]] = field(default_factory=list)
    windows: list[tuple[float, Window]] = field(default_factory=list)
    """With where the media had come to when each was cut."""

    def speech(self) -> list[tuple[float, Window]]:
        return [(at, w) for at, w in self.windows if w.kind == "speech" and w.voice]


class OneFace:
    """Finds the portrait where it always is."""

    small_px = 320

    def find(self, _frame: VideoFrame) -> list[Place]:
        return [Place((180, 60, 90, 110), 0.9)]


async def watch(server: RtspServer) -> Seen:
    seen, came_s = Seen(), 0.0
    camera = Live("door", Address.parse(server.url), Sampling(0.4, 320), 5.0)

    async def media(handover: Handover[Media | Notice]) -> AsyncIterator[Media]:
        nonlocal came_s
        with suppress(CameraError):
            async for item in handover:
                if isinstance(item, Notice):
                    continue
                if isinstance(item, Epoch):
                    seen.epochs.append(item)
                else:
                    came_s = max(item.pts_s, came_s if seen.media else 0.0)
                seen.media.append((len(seen.epochs), item))
                yield item

    worker = Worker("judge")
    async with Handover[Media | Notice](camera.read, name="door") as handover:
        with suppress(TimeoutError):
            async with asyncio.timeout(ENDS_S):
                heard = cut_speech(find_faces(media(handover), OneFace(), worker), Vad(), 8.0)
                async for window in cut_windows(heard, Windows()):
                    seen.windows.append((came_s, window))
    worker.close()
    return seen


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    """Play all at once, as each takes as long as its clip."""
    clip: Path = tmp_path_factory.mktemp("loss") / "clip.mp4"
    make_clip(clip, AS_CAMERAS_DO, side_px=320)
    servers = {name: RtspServer(clip) for name in CHANGES}
    for name, change in CHANGES.items():
        servers[name].change = change

    async def all_of_them() -> list[Seen]:
        return await asyncio.gather(*map(watch, servers.values()))

    found: list[Seen] = []
    thread = threading.Thread(target=lambda: found.extend(asyncio.run(all_of_them())))
    thread.start()
    thread.join(60)
    for server in servers.values():
        server.close()
    return dict(zip(CHANGES, found, strict=True))


def test_sound_that_stops_in_mid_utterance_ends_it_and_returns(seen: dict[str, Seen]) -> None:
    camera = seen["sound stops"]
    assert len(camera.epochs) == 1
    (told_s, cut), *later = camera.speech()
    assert cut.end_s == pytest.approx(2.5, abs=0.3)
    assert told_s <= cut.end_s + 3.0
    assert cut.face is not None
    ambient = [w for _, w in camera.windows if w.kind == "ambient"]
    assert any(3 < w.end_s < 7 for w in ambient)
    assert [w.face is not None for _, w in later][:1] == [True]


def test_pictures_that_stop_leave_voices_and_return(seen: dict[str, Seen]) -> None:
    camera = seen["pictures stop"]
    assert len(camera.epochs) == 1
    said = camera.speech()
    assert len(said) >= 2
    (_, first), (second_s, second) = said[:2]
    assert first.end_s == pytest.approx(4.5, abs=1.0)
    assert (second.track, second.absent) == (None, {"face": "no_face"}) or second.end_s > 9
    assert second_s <= second.end_s + 2.0
    pictures = [m.pts_s for _, m in camera.media if isinstance(m, VideoFrame)]
    assert max(pictures) > 9
    assert any(w.face is not None and w.start_s > 8.5 for _, w in camera.windows)


def test_sound_that_is_stamped_late_is_noticed(seen: dict[str, Seen]) -> None:
    told = [m.skew_s for _, m in seen["sound stamped late"].media if isinstance(m, AudioChunk)]
    known = [skew_s for skew_s in told if skew_s is not None]
    assert known[-1] == pytest.approx(-1.0, abs=0.25)
    assert all(w.skew_s is None or w.skew_s < -0.7 for _, w in seen["sound stamped late"].speech())


def test_a_camera_that_is_set_back_by_an_hour_goes_on_in_new_epochs(
    seen: dict[str, Seen],
) -> None:
    camera = seen["set back"]
    assert len(camera.epochs) == 3  # RTCP, which tells the right time, comes some seconds later
    for number in (1, 2, 3):
        pictures = [m.pts_s for n, m in camera.media if n == number and isinstance(m, VideoFrame)]
        assert pictures == sorted(pictures)
        assert len(pictures) >= 3
    later_s = (camera.epochs[1].began - camera.epochs[0].began).total_seconds()
    assert later_s == pytest.approx(5.5, abs=1.0)
    told = [m.skew_s for _, m in camera.media if isinstance(m, AudioChunk)]
    assert all(abs(skew_s) < 0.3 for skew_s in told if skew_s is not None)


@pytest.mark.parametrize("name", ["wraps", "damaged"])
def test_rtp_that_wraps_or_is_damaged_goes_on(seen: dict[str, Seen], name: str) -> None:
    camera = seen[name]
    assert len(camera.epochs) == 1
    pictures = [m.pts_s for _, m in camera.media if isinstance(m, VideoFrame)]
    sound = [m.pts_s for _, m in camera.media if isinstance(m, AudioChunk)]
    assert max(pictures) > 9
    assert max(sound) > 9
    assert len(camera.speech()) >= 2
