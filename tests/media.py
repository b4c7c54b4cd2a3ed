"""Real media made on the spot, and where the shared recordings lie."""

import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

_ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("CREDENCE_DATA", _ROOT.parent / "shared" / "data"))
CLIPS = DATA / "clips"
YUNET = DATA / "models" / "yunet_n_320_320.onnx"
SMALL_WHISPER = _ROOT / "tests" / "models" / "whisper-tiny-ravdess"

needs_data = pytest.mark.skipif(
    not CLIPS.is_dir(), reason=f"no shared recordings in {DATA}; set CREDENCE_DATA"
)


def write_media(
    path: Path,
    *,
    seconds: float = 1.0,
    size: tuple[int, int] | None = (64, 48),
    rate_hz: int = 25,
    codec: str = "libx264",
    sound: str | None = "aac",
    sound_hz: int = 16_000,
    layout: str = "mono",
    options: dict[str, str] | None = None,
    pixels: str = "yuv420p",
) -> Path:
    """Write moving noise of (width, height) and a tone; None leaves picture or sound out."""
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=rate_hz, options=options) if size else None
        audio = container.add_stream(sound, rate=sound_hz, layout=layout) if sound else None
        if video is not None and size is not None:
            assert isinstance(video, av.VideoStream)
            video.width, video.height = size
            video.pix_fmt = "yuvj420p" if codec == "mjpeg" else pixels
            for number in range(round(seconds * rate_hz)):
                picture = av.VideoFrame.from_ndarray(_noise(size, number), "rgb24")
                picture.pts, picture.time_base = number, Fraction(1, rate_hz)
                container.mux(video.encode(picture))
            container.mux(video.encode())
        if audio is not None:
            assert isinstance(audio, av.AudioStream)
            _mux_tone(container, audio, round(seconds * sound_hz), sound_hz, layout)
    return path


AS_CAMERAS_DO = {"g": "10", "bf": "0", "preset": "veryfast"}
"""For the encoder: whole pictures often, and none ahead of its time."""


def _mux_tone(
    container: av.container.OutputContainer,
    audio: av.AudioStream,
    samples: int,
    rate_hz: int,
    layout: str,
) -> None:
    channels = len(av.AudioLayout(layout).channels)
    tone = 3000 * np.sin(2 * np.pi * 440 * np.arange(samples) / rate_hz)
    interleaved = np.repeat(tone.astype(np.int16), channels)[None]
    frame = av.AudioFrame.from_ndarray(interleaved, format="s16", layout=layout)
    frame.sample_rate, frame.pts = rate_hz, 0
    container.mux(audio.encode(frame))
    container.mux(audio.encode())


def _noise(size: tuple[int, int], seed: int) -> npt.NDArray[np.uint8]:
    random = np.random.default_rng(seed)
    return random.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)


def word_errors(truth: str, said: str) -> int:
    """Count the words that must be put in, taken out or replaced."""
    wanted, found = _plain(truth), _plain(said)
    costs = np.arange(len(found) + 1)
    for word in wanted:
        swapped = costs[:-1] + [word != other for other in found]
        best = np.minimum(np.append(costs[0] + 1, swapped), costs + 1)
        costs = np.minimum.accumulate(best - np.arange(len(best))) + np.arange(len(best))
    return int(costs[-1])


def _plain(text: str) -> list[str]:
    return "".join(c for c in text.lower() if c.isalnum() or c.isspace()).split()
