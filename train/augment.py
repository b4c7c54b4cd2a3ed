"""Training inputs, varied: what a face or a voice may look or sound like beside itself.

Everything happens just before the engines' own preprocessing, which then runs unchanged, except
masks, which stand for what a network should not lean on. All randomness comes from ``rng``.
"""

from functools import cache
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from engines.preprocess import face, voice
from engines.runtime import Batch
from engines.window import FACE_PX, SAMPLE_RATE_HZ, FaceWindow
from train import robustness
from train.data.samples import Array
from train.recipe import FaceAugment, VoiceAugment

Float = npt.NDArray[np.float32]

TELEPHONE_HZ: Final = 8_000
"""The sampling rate of a telephone."""


def faces(items: list[Array], how: FaceAugment, rng: np.random.Generator) -> Float:
    """Return varied faces (B, 1, 48, 48) of crops (48, 48) uint8."""
    crops = np.stack([_vary_face(item, how, rng) for item in items])
    return face.tensor(FaceWindow(0.0, 0.0, crops))


def voices(items: list[Array], how: VoiceAugment, rng: np.random.Generator) -> Float:
    """Return one varied segment (B, 1, 64, 300) of each of the log-mels (64, frames).

    Gain needs no variation: preprocessing takes it away. What varies the sound itself does so
    in its mel powers, which costs little beside new log-mels every epoch.
    """
    return np.stack([_vary_voice(item, how, rng) for item in items])


def mixup(inputs: Batch, targets: Float, beta: float, rng: np.random.Generator) -> None:
    """Blend every input (B, ...) and its target (B, 7), in place, with another of the batch."""
    if beta == 0:
        return
    other = rng.permutation(len(inputs))
    share = rng.beta(beta, beta, len(inputs)).astype(np.float32)
    share = np.maximum(share, 1 - share)
    for batch in (inputs, targets):
        part = share.reshape(-1, *[1] * (batch.ndim - 1))
        batch[:] = part * batch + (1 - part) * batch[other]


def _vary_face(
    crop: npt.NDArray[np.uint8], how: FaceAugment, rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    crop = _move(crop, how, rng)
    if how.light:
        crop = _relight(crop, how.light, rng)
    for chance, span, change in (
        (how.occlude, how.occlude_share, robustness.occlude),
        (how.dark, how.dark_share, robustness.dark),
        (how.small, how.small_px, robustness.small),
        (how.blur, how.blur_px, robustness.blur),
        (how.jpeg, how.jpeg_quality, robustness.jpeg),
    ):
        if rng.random() < chance:
            crop = change(crop, rng.uniform(*span), rng)
    return crop


def _move(
    crop: npt.NDArray[np.uint8], how: FaceAugment, rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    middle = (FACE_PX - 1) / 2
    turn = cv2.getRotationMatrix2D(
        (middle, middle),
        rng.uniform(-how.turn_deg, how.turn_deg),
        rng.uniform(1 - how.scale, 1 + how.scale),
    )
    turn = turn + np.pad(rng.uniform(-how.shift_px, how.shift_px, (2, 1)), ((0, 0), (2, 0)))
    if rng.random() < how.flip:
        crop = crop[:, ::-1]
    moved = cv2.warpAffine(
        np.ascontiguousarray(crop), turn, (FACE_PX, FACE_PX), borderMode=cv2.BORDER_REPLICATE
    )
    return moved.astype(np.uint8)


def _relight(
    crop: npt.NDArray[np.uint8], light: float, rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    gamma, contrast = 1 + rng.uniform(-light, light, 2)
    table = 255 * (np.arange(256) / 255) ** gamma
    table = 128 + contrast * (table - 128) + rng.uniform(-60, 60) * light
    noisy = table[crop] + rng.normal(0, rng.uniform(0, 6), crop.shape)
    relit: npt.NDArray[np.uint8] = noisy.clip(0, 255).astype(np.uint8)
    return relit


def _vary_voice(mel: Float, how: VoiceAugment, rng: np.random.Generator) -> Float:
    mel = _crop(mel, how.crop, rng)
    mel = _stretch(mel, how, rng)
    if rng.random() < how.reverb:
        mel = add_reverb(mel, rng.uniform(*how.reverb_s))
    if rng.random() < how.noise:
        mel = add_noise(mel, rng.uniform(*how.noise_db), rng)
    if rng.random() < how.band:
        mel = limit_band(mel)
    if how.colour:
        mel = mel + _smooth(rng.normal(0, how.colour, 6), voice.MELS)[:, None]
    segments = voice.segments(mel)
    return _mask(segments[rng.integers(len(segments))], how, rng)


def _crop(mel: Float, most: float, rng: np.random.Generator) -> Float:
    frames = mel.shape[1]
    kept = max(1, round(frames * (1 - rng.uniform(0, most))))
    start = rng.integers(0, frames - kept + 1)
    return mel[:, start : start + kept]


def _stretch(mel: Float, how: VoiceAugment, rng: np.random.Generator) -> Float:
    frames = mel.shape[1]
    slower = 1 + rng.uniform(-how.speed, how.speed)
    higher = 1 + rng.uniform(-how.pitch, how.pitch)
    width = max(1, round(frames * slower))
    turn = np.array([[width / frames, 0, 0], [0, higher, 0]])
    stretched = cv2.warpAffine(mel, turn, (width, voice.MELS), borderMode=cv2.BORDER_REPLICATE)
    return stretched.astype(np.float32)


def add_noise(mel: Float, ratio_db: float, rng: np.random.Generator) -> Float:
    """Add noise to log-mels (64, frames) at a ratio of mean powers.

    Its colour is random, and so is how much it comes and goes. Recorded noise is left for
    evaluation, so that it is heard there for the first time.
    """
    frames = mel.shape[1]
    colour = _smooth(rng.normal(0, 1.5, 6), voice.MELS)[:, None]
    swell = _smooth(rng.normal(0, rng.uniform(0, 1.5), 2 + frames // 25), frames)
    noise = np.exp(colour + swell) * rng.gamma(4.0, 0.25, mel.shape)
    power = np.exp(mel)
    ratio = 10 ** (-ratio_db / 10)
    noise *= ratio * power.mean() / noise.mean()
    noisy: Float = np.log(power + noise).astype(np.float32)
    return noisy


def add_reverb(mel: Float, rt60_s: float) -> Float:
    """Let log-mels (64, frames) ring, as `robustness.reverb` does to the sound itself.

    The power of every frame decays over the next ones, by 60 dB in ``rt60_s``; all of its echo
    together is as strong as the frame itself.
    """
    frame_s = voice.HOP / SAMPLE_RATE_HZ
    decay = 10 ** (-6 * frame_s / rt60_s * np.arange(1, max(2, round(rt60_s / frame_s))))
    response = np.concatenate([[1.0], decay / decay.sum()])
    power, backwards = np.exp(mel), response[None, ::-1].astype(np.float32)
    place = (len(response) - 1, 0)
    wet = cv2.filter2D(power, -1, backwards, anchor=place, borderType=cv2.BORDER_CONSTANT)
    # filter2D goes through a Fourier transform, which is not exact where it is quiet.
    return np.log(np.maximum(wet, power)).astype(np.float32)


def limit_band(mel: Float) -> Float:
    """Take out of log-mels (64, frames) what sampling at 8 kHz loses."""
    left = np.exp(mel) * _below_telephone()[:, None]
    limited: Float = np.log(np.maximum(left, voice.FLOOR)).astype(np.float32)
    return limited


@cache
def _below_telephone() -> Float:
    """(64,) the share of each mel band that lies below 4 kHz."""
    filters = voice.filters()
    low = np.linspace(0, SAMPLE_RATE_HZ / 2, len(filters)) < TELEPHONE_HZ / 2
    share: Float = (filters[low].sum(axis=0) / filters.sum(axis=0)).astype(np.float32)
    return share


def _mask(segment: Float, how: VoiceAugment, rng: np.random.Generator) -> Float:
    segment = segment.copy()
    for _ in range(how.masks):
        for axis, longest in ((2, how.mask_frames), (1, how.mask_mels)):
            length = int(rng.integers(0, longest + 1))
            start = int(rng.integers(0, segment.shape[axis] - length + 1))
            np.moveaxis(segment, axis, 0)[start : start + length] = 0.0
    return segment


def _smooth(knots: npt.NDArray[np.float64], length: int) -> Float:
    where = np.linspace(0, len(knots) - 1, length)
    return np.interp(where, np.arange(len(knots)), knots).astype(np.float32)
