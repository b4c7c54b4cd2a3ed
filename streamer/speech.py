"""Sound → utterances, by webrtcvad and the level above the background."""

from collections import deque
from collections.abc import AsyncIterator, Collection, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import webrtcvad

from engines.window import SAMPLE_RATE_HZ, VoiceWindow
from streamer.config import Vad
from streamer.flow import (
    AudioChunk,
    Epoch,
    Listening,
    Sighting,
    Speaking,
    Unseen,
    Utterance,
    stopped,
)

FRAME_S = 0.03
_FRAME = round(FRAME_S * SAMPLE_RATE_HZ)
_JUMP_S = 0.1
"""Sound whose clock jumps by more was interrupted; an utterance does not go on across that."""


@dataclass(frozen=True, slots=True, eq=False)
class _Heard:
    """One frame of 30 ms."""

    pcm: npt.NDArray[np.int16]
    speech: bool
    energy: float


class Segmenter:
    """Cuts speech out of sound. Feed it consecutive chunks; it holds one utterance at most."""

    def __init__(self, vad: Vad, longest_s: float) -> None:
        self._webrtc = webrtcvad.Vad(vad.aggressiveness)
        self._pre_roll = _frames(vad.pre_roll_s)
        self._hangover = _frames(vad.hangover_s)
        self._shortest = _frames(vad.shortest_s)
        self._longest = _frames(longest_s)
        self._rest = np.empty(0, np.int16)
        self._origin_s = 0.0
        self._count = 0
        self._utterance: list[_Heard] = []
        self._told = 0
        self._before: deque[_Heard] = deque(maxlen=self._pre_roll + _ONSET)
        self._background = _Background()

    def feed(self, chunk: AudioChunk) -> Iterator[Utterance]:
        """Hear the next chunk; yield the utterances that it closes."""
        if abs(chunk.pts_s - self.heard_s - len(self._rest) / SAMPLE_RATE_HZ) > _JUMP_S:
            yield from self.close()
            self._rest, self._origin_s, self._count = np.empty(0, np.int16), chunk.pts_s, 0
        pcm = np.concatenate([self._rest, chunk.pcm])
        whole = len(pcm) // _FRAME * _FRAME
        self._rest = pcm[whole:]
        frames = pcm[:whole].reshape(-1, _FRAME)
        energies = np.square(frames, dtype=np.float32).mean(axis=1).tolist()
        for frame, energy in zip(frames, energies, strict=True):
            self._count += 1
            yield from self._hear(frame, energy)

    def close(self) -> Iterator[Utterance]:
        """The sound ends here: yield what is still open."""
        if self._utterance:
            yield from self._cut(len(self._utterance))
        self._utterance = []
        self._before.clear()

    def speaking(self) -> Speaking | None:
        """Return what has been said of an open utterance; None until enough more is said."""
        if len(self._utterance) - self._told < _frames(_SPEAKING_EVERY_S):
            return None
        self._told = len(self._utterance)
        return Speaking(VoiceWindow(self.settled_s, _pcm(self._utterance)))

    @property
    def heard_s(self) -> float:
        """Where the sound that has been heard ends."""
        return self._ago_s(0)

    @property
    def settled_s(self) -> float:
        """Before this no utterance will begin any more, and none is open."""
        return self._ago_s(len(self._utterance) or len(self._before))

    def _ago_s(self, frames: int) -> float:
        return self._origin_s + (self._count - frames) * FRAME_S

    def _hear(self, pcm: npt.NDArray[np.int16], energy: float) -> Iterator[Utterance]:
        loud = self._background.exceeded_by(energy)
        heard = _Heard(pcm, loud and self._webrtc.is_speech(pcm.tobytes(), SAMPLE_RATE_HZ), energy)
        if not self._utterance:
            self._before.append(heard)
            onset = list(self._before)[-_ONSET:]
            if sum(h.speech for h in onset) >= _ONSET_VOICED:
                self._utterance = list(self._before)
                self._before.clear()
            return
        self._utterance.append(heard)
        if not any(h.speech for h in self._utterance[-self._hangover :]):
            yield from self.close()
        elif len(self._utterance) > self._longest:
            yield from self._cut(self._quietest())

    def _cut(self, length: int) -> Iterator[Utterance]:
        """Yield the first frames of the open utterance, without the silence at their end."""
        start_s = self._ago_s(len(self._utterance))
        taken, self._utterance = self._utterance[:length], self._utterance[length:]
        self._told = 0
        voiced = [i for i, heard in enumerate(taken) if heard.speech]
        if len(voiced) < self._shortest:
            return
        taken = taken[: voiced[-1] + 1 + _TAIL]
        yield Utterance(start_s, start_s + len(taken) * FRAME_S, _pcm(taken))

    def _quietest(self) -> int:
        """Where in the second half of an utterance that is too long it hurts least to cut."""
        half = self._longest // 2
        energy = [heard.energy for heard in self._utterance[half : self._longest]]
        smooth = np.convolve(energy, np.ones(3), mode="same")
        return half + int(smooth.argmin())


class _Background:
    """Follows the level of the quiet moments, and tells what stands out from it."""

    def __init__(self) -> None:
        self._recent: deque[float] = deque(maxlen=_frames(_BACKGROUND_S))
        self._floor = _LEAST_ENERGY
        self._count = 0

    def exceeded_by(self, energy: float) -> bool:
        self._recent.append(energy)
        self._count += 1
        if self._count % 10 == 0:
            self._floor = lowest_tenth(self._recent)
        return energy > max(self._floor * _ABOVE, _LEAST_ENERGY)


def lowest_tenth(energies: Collection[float]) -> float:
    """Return the 10th percentile, between two values in proportion, as NumPy does, but sooner."""
    ordered = sorted(energies)
    below, part = divmod((len(ordered) - 1) * 0.1, 1)
    low, high = ordered[int(below)], ordered[min(int(below) + 1, len(ordered) - 1)]
    return low + (high - low) * part


def _frames(seconds: float) -> int:
    return max(1, round(seconds / FRAME_S))


def _pcm(heard: list[_Heard]) -> npt.NDArray[np.float32]:
    pcm = np.concatenate([each.pcm for each in heard]).astype(np.float32)
    pcm /= 32768
    return pcm


_ONSET = 8
_ONSET_VOICED = 6
"""Speech begins where six of eight frames are voiced: a click or a knock is shorter."""
_TAIL = 3
"""Frames kept after the last voiced one, for the end of a consonant."""
_SPEAKING_EVERY_S = 2.0
_BACKGROUND_S = 6.0
_ABOVE = 10.0
"""Speech is 10 dB above the quietest tenth of the last seconds."""
_LEAST_ENERGY = float(32768**2 * 10**-6.0)
"""-60 dB of full scale: below is silence on any microphone."""


async def cut_speech(
    heard: AsyncIterator[Epoch | AudioChunk | Sighting | Unseen], vad: Vad, longest_s: float
) -> AsyncIterator[Epoch | Sighting | Unseen | Utterance | Listening | Speaking]:
    """Replace sound by the utterances in it, also while they go on; pictures pass.

    Where sound stops while pictures go on, what was being said ends by their clock.
    """
    segmenter = Segmenter(vad, longest_s)
    seen_s = unheard_since_s = 0.0
    async for item in heard:
        match item:
            case AudioChunk():
                unheard_since_s = seen_s
                for utterance in segmenter.feed(item):
                    yield utterance
                yield Listening(segmenter.heard_s, segmenter.settled_s, item.skew_s)
                if speaking := segmenter.speaking():
                    yield speaking
            case Epoch():
                for utterance in segmenter.close():
                    yield utterance
                segmenter, seen_s, unheard_since_s = Segmenter(vad, longest_s), 0.0, 0.0
                yield item
            case Sighting(pts_s=pts_s) | Unseen(pts_s=pts_s):
                seen_s = max(seen_s, pts_s)
                if stopped(segmenter.heard_s, seen_s, unheard_since_s):
                    for utterance in segmenter.close():
                        yield utterance
                yield item
    for utterance in segmenter.close():
        yield utterance
