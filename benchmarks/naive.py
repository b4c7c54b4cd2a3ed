"""The script that one would write instead of Credence.

    python -m benchmarks.naive URL YUNET

OpenCV reads every picture, YuNet looks for faces in it at its full size, and the same face network
judges each of them in eager PyTorch; PyAV reads the sound, webrtcvad cuts it, and the same voice
network judges each utterance. Prints the stream's time each time a second of it has passed.

Where it could be made dearer or cheaper without being another script, it is the cheaper: networks
without gradients, a connection for the sound alone that takes no picture, faces cut out as boxes,
and one thread for OpenCV and for PyTorch, which costs less processor time than the default.
"""

import sys
import threading
from collections.abc import Iterator

import av
import cv2
import numpy as np
import numpy.typing as npt
import torch
import webrtcvad

from engines.engine import BUNDLES
from engines.preprocess import face, voice
from engines.window import SAMPLE_RATE_HZ

_FRAME = 480
"""Samples: 30 ms."""
_HANGOVER = 17
"""Frames of silence that end an utterance."""
_SHORTEST = 10
"""Frames of speech that are one."""


def network(kind: str) -> torch.nn.Module:
    """Return a shipped network as PyTorch runs it, operation by operation."""
    return torch.export.load(BUNDLES / kind / "program.pt2").module()


def watch(url: str, yunet: str, net: torch.nn.Module) -> None:
    """Judge every face in every picture."""
    capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG)
    detector = None
    next_s = 0.0
    while True:
        came, picture = capture.read()
        if not came:
            return
        if detector is None:
            size = (picture.shape[1], picture.shape[0])
            detector = cv2.FaceDetectorYN.create(yunet, "", size, 0.6)
        grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.uint8, copy=False)
        _, faces = detector.detect(picture)
        for x, y, width, height in [] if faces is None else faces[:, :4].astype(int):
            box = grey[max(y, 0) : y + height, max(x, 0) : x + width]
            crop = face.resize(box).astype(np.float32)
            even = (crop - crop.mean()) / max(crop.std(), 4.0)
            net(torch.from_numpy(even[None, None]))
        at_s = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        if at_s >= next_s:
            next_s += 1.0
            print(at_s, flush=True)


def listen(url: str, net: torch.nn.Module) -> None:
    """Judge every utterance."""
    vad = webrtcvad.Vad(3)
    heard: list[npt.NDArray[np.int16]] = []
    quiet = 0
    with torch.inference_mode():
        for pcm in frames(url):
            speech = vad.is_speech(pcm.tobytes(), SAMPLE_RATE_HZ)
            quiet = 0 if speech else quiet + 1
            if speech or heard:
                heard.append(pcm)
            if quiet < _HANGOVER:
                continue
            if len(heard) >= _HANGOVER + _SHORTEST:
                spoken = np.concatenate(heard).astype(np.float32) / np.float32(32768)
                net(torch.from_numpy(voice.segments(voice.log_mel(spoken))))
            heard = []


def frames(url: str) -> Iterator[npt.NDArray[np.int16]]:
    """Yield the sound in pieces of 30 ms, mono at 16 kHz."""
    resampler = av.AudioResampler("s16", "mono", SAMPLE_RATE_HZ, _FRAME)
    options = {"rtsp_transport": "tcp", "allowed_media_types": "audio"}
    with av.open(url, options=options) as container:
        for frame in container.decode(audio=0):
            for piece in resampler.resample(frame):
                yield piece.to_ndarray()[0]


def main(url: str, yunet: str) -> None:
    """Watch and listen until the stream ends."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    face_net, voice_net = network("face"), network("voice")
    threading.Thread(target=listen, args=[url, voice_net], daemon=True).start()
    with torch.inference_mode():
        watch(url, yunet, face_net)


if __name__ == "__main__":
    main(*sys.argv[1:3])
