"""A talking-head clip that Credence makes itself, for the demonstration and the tests.

The portrait is NASA's of astronaut Eileen Collins, in the public domain, as shipped with
scikit-image. The speech is espeak-ng's; without espeak-ng the clip is silent.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt

from engines.errors import CredenceError
from engines.window import SAMPLE_RATE_HZ

RATE_HZ = 25
SENTENCES = (
    "I am so happy to see you, this is the best day of my life.",
    "No. I do not know what to think of it.",
)
"""Said one after the other with a rest between, so that both kinds of window appear."""

_QUICKLY = {"preset": "veryfast"}
_ONE_THREAD = {"threads": "1"}
"""The encoder's own choice, one for each core, makes other pictures on other machines."""
_HEAD_PX = (227, 115)
_REST_S = 2.5
_SIDE_PX = 480


class PortraitMissingError(CredenceError):
    """The portrait's package is not installed."""

    def __init__(self) -> None:
        super().__init__(
            "the demonstration needs a portrait; in Credence's clone: pip install -e '.[demo]'"
        )


def make_clip(path: Path, options: Mapping[str, str] = _QUICKLY, side_px: int = _SIDE_PX) -> bool:
    """Write a clip (H.264, AAC) of about twelve seconds; return whether it has speech.

    ``options`` are the video encoder's; the picture is a square of ``side_px``.
    """
    portrait = _portrait()
    speech = _speech()
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=RATE_HZ, options={**_ONE_THREAD, **options})
        video.width = video.height = side_px
        video.pix_fmt = "yuv420p"
        audio = container.add_stream("aac", rate=SAMPLE_RATE_HZ, layout="mono")
        for number in range(round(len(speech) / SAMPLE_RATE_HZ * RATE_HZ)):
            framed = _framed(portrait, number / RATE_HZ, side_px)
            picture = av.VideoFrame.from_ndarray(framed, "rgb24")
            picture.pts, picture.time_base = number, Fraction(1, RATE_HZ)
            container.mux(video.encode(picture))
        container.mux(video.encode())
        sound = av.AudioFrame.from_ndarray(speech[None], format="s16", layout="mono")
        sound.sample_rate, sound.pts = SAMPLE_RATE_HZ, 0
        container.mux(audio.encode(sound))
        container.mux(audio.encode())
    return bool(speech.any())


def _portrait() -> npt.NDArray[np.uint8]:
    try:
        from skimage import data
    except ImportError as error:
        raise PortraitMissingError from error
    portrait: npt.NDArray[np.uint8] = data.astronaut()  # type: ignore[no-untyped-call]
    return _focused(portrait)


def _focused(portrait: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Blur all but the head: what stands behind it looks like a face to Haar now and then."""
    head = np.zeros(portrait.shape[:2], np.float32)
    cv2.ellipse(head, _HEAD_PX, (100, 120), 0, 0, 360, 1.0, thickness=-1)
    sharp = cv2.GaussianBlur(head, (0, 0), 10)[..., None]
    blurred = cv2.GaussianBlur(portrait, (0, 0), 12)
    return np.round(portrait * sharp + blurred * (1 - sharp)).astype(np.uint8)


def _framed(portrait: npt.NDArray[np.uint8], at_s: float, side_px: int) -> npt.NDArray[np.uint8]:
    """Sway a little, as people do."""
    sway = np.array([[1, 0, 12 * np.sin(at_s)], [0, 1, 6 * np.sin(1.7 * at_s)]], np.float32)
    scaled = sway * np.float32(side_px / _SIDE_PX)
    swayed = cv2.warpAffine(portrait, scaled, (side_px, side_px), borderMode=cv2.BORDER_REPLICATE)
    return swayed.astype(np.uint8)


def _speech() -> npt.NDArray[np.int16]:
    rest = np.zeros(round(_REST_S * SAMPLE_RATE_HZ), np.int16)
    if shutil.which("espeak-ng") is None:
        return np.tile(rest, 5)
    said = [part for sentence in SENTENCES for part in (_say(sentence), rest)]
    return np.concatenate([rest[: SAMPLE_RATE_HZ // 2], *said])


def _say(sentence: str) -> npt.NDArray[np.int16]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        subprocess.run(["espeak-ng", "-w", str(path), "--", sentence], check=True)
        return read_sound(path)


def read_sound(path: Path) -> npt.NDArray[np.int16]:
    """Return all the sound of a file (samples,) as mono at 16 kHz."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE_HZ)
    with av.open(str(path)) as container:
        frames = [f for frame in container.decode(audio=0) for f in resampler.resample(frame)]
    frames += resampler.resample(None)
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])
