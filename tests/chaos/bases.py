"""Sound recordings and clips of many containers and codecs, made on the spot, to be damaged."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from streamer.clip import make_clip
from tests.media import AS_CAMERAS_DO, write_media

_SHORT = partial(write_media, seconds=0.6, rate_hz=10)
_HEARD = partial(write_media, seconds=0.6, size=None)

Maker = Callable[[Path], object]

_MAKERS: dict[str, Maker] = {
    "a.mp4": partial(_SHORT, options=AS_CAMERAS_DO),
    "b.mkv": partial(_SHORT, codec="libvpx", sound="libopus", sound_hz=48_000),
    "c.ts": _SHORT,
    "d.mov": partial(_SHORT, codec="mjpeg", sound="pcm_s16le"),
    "e.avi": partial(_SHORT, codec="mpeg4", sound="libmp3lame"),
    "f.flv": partial(_SHORT, codec="flv", sound="libmp3lame", sound_hz=44_100),
    "g.webm": partial(_SHORT, codec="libvpx-vp9", sound="libopus", sound_hz=48_000),
    "h.mpg": partial(
        write_media, seconds=0.6, codec="mpeg2video", sound="mp2", sound_hz=44_100, layout="stereo"
    ),
    "i.wav": partial(_HEARD, sound="pcm_s16le"),
    "j.mp3": partial(_HEARD, sound="libmp3lame"),
    "k.ogg": partial(_HEARD, sound="libopus", sound_hz=48_000),
    "l.flac": partial(_HEARD, sound="flac"),
    "m.aac": _HEARD,
    "n.h264": partial(_SHORT, sound=None),
    "o.mjpeg": partial(_SHORT, codec="mjpeg", sound=None),
    "p.wmv": partial(_SHORT, codec="wmv2", sound="ac3", sound_hz=44_100),
    "q.gif": lambda path: _SHORT(path, codec="gif", sound=None, pixels="rgb8"),
    "r.mkv": partial(_SHORT, codec="ffv1", sound="pcm_s16le"),
    "s.mp4": partial(make_clip, side_px=240),
}
CAMERAS: dict[str, Maker] = {
    "aac.mov": partial(_SHORT, options=AS_CAMERAS_DO),
    "pcmu.mov": partial(_SHORT, sound="pcm_mulaw", sound_hz=8_000, options=AS_CAMERAS_DO),
    "opus.mkv": partial(_SHORT, sound="libopus", sound_hz=48_000, options=AS_CAMERAS_DO),
    "silent.mov": partial(_SHORT, sound=None, options=AS_CAMERAS_DO),
    "talk.mov": partial(make_clip, options=AS_CAMERAS_DO, side_px=240),
}
"""What our RTSP server can send."""


def make(folder: Path) -> None:
    """Make them all in two folders, `files` and `cameras`."""
    for kind, makers in (("files", _MAKERS), ("cameras", CAMERAS)):
        (folder / kind).mkdir()
        for name, maker in makers.items():
            maker(folder / kind / name)
