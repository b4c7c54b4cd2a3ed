"""Any sound file → 16 kHz mono."""

from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from engines.window import SAMPLE_RATE_HZ
from train.data.samples import DataError, check_file


def read_sound(path: Path) -> npt.NDArray[np.float32]:
    """Return the first sound track (samples,) in [-1, 1] at 16 kHz; raise DataError without one."""
    check_file(path)
    try:
        # A playlist must not reach for the network.
        with av.open(f"file:{path}", options={"protocol_whitelist": "file"}) as container:
            if not container.streams.audio:
                raise DataError(path, "holds no sound")
            # Channels are averaged below: FFmpeg's own sum of loud ones would clip.
            resampler = av.AudioResampler(format="fltp", rate=SAMPLE_RATE_HZ)
            decoded = [*container.decode(container.streams.audio[0]), None]
            parts = [
                part.to_ndarray().mean(axis=0)
                for frame in decoded
                for part in resampler.resample(frame)
            ]
    except (av.FFmpegError, OSError, ValueError) as error:
        raise DataError(path, "is no sound that can be read") from error
    if not parts or not sum(map(len, parts)):
        raise DataError(path, "holds no sound")
    pcm: npt.NDArray[np.float32] = np.concatenate(parts).astype(np.float32)
    if not np.isfinite(pcm).all():
        raise DataError(path, "holds samples that are no numbers")
    return np.clip(pcm, -1.0, 1.0)
