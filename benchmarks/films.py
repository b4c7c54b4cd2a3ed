"""Films made of pictures and sound, as files."""

from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from engines.window import SAMPLE_RATE_HZ

RATE_HZ = 25
_OPTIONS = {"preset": "veryfast", "threads": "1"}
"""The encoder's own threads, one for each core, make other pictures on other machines."""

Picture = npt.NDArray[np.uint8]
"""(H, W, 3) RGB; H and W are even."""


def write_film(path: Path, pictures: Iterable[Picture], pcm: npt.NDArray[np.int16]) -> Path:
    """Write pictures, 25 a second, and sound (samples,) at 16 kHz: H.264 and AAC."""
    pictures = iter(pictures)
    first = next(pictures)
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=RATE_HZ, options=_OPTIONS)
        video.height, video.width = first.shape[:2]
        video.pix_fmt = "yuv420p"
        audio = container.add_stream("aac", rate=SAMPLE_RATE_HZ, layout="mono")
        for number, shown in enumerate(chain([first], pictures)):
            picture = av.VideoFrame.from_ndarray(shown, "rgb24")
            picture.pts = number
            container.mux(video.encode(picture))
        container.mux(video.encode())
        sound = av.AudioFrame.from_ndarray(pcm[None], "s16", "mono")
        sound.sample_rate, sound.pts = SAMPLE_RATE_HZ, 0
        container.mux(audio.encode(sound))
        container.mux(audio.encode())
    return path
