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
from importlib import resources

import av
import cv2
import numpy as np
import numpy.typing as npt
import torch
import webrtcvad

from engines.preprocess import face, voice
from engines.window import SAMPLE_RATE_HZ

_FRAME = 480
_HANGOVER = 17
_SHORTEST = 10


def network(kind: str) -> torch.nn.Module:
    """Return a shipped network as PyTorch runs it, operation by operation."""
    with resources.as_file(resources.files("engines") / "bundles" / kind / "program.pt2") as path:
        return torch.export.load(path).module()


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
    resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE_HZ)
    heard: list[npt.NDArray[np.int16]] = []
    rest, quiet = np.empty(0, np.int16), 0
    options = {"rtsp_transport": "tcp", "allowed_media_types": "audio"}
    with av.open(url, options=options) as container, torch.inference_mode():
        for frame in container.decode(audio=0):
            for chunk in resampler.resample(frame):
                rest = np.concatenate([rest, chunk.to_ndarray()[0]])
            while len(rest) >= _FRAME:
                pcm, rest = rest[:_FRAME], rest[_FRAME:]
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
