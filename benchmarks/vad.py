"""How well speech is found: missed speech and false alarm against hand-made segments.

    python -m benchmarks.vad ../shared/data/vad

Beside it stand "everything is speech" and the best threshold on the level alone, with and without
bridging pauses as Credence does. It is chosen on the recordings it is scored on.
"""

import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from engines.window import SAMPLE_RATE_HZ
from streamer.clip import read_sound
from streamer.config import Vad
from streamer.flow import AudioChunk
from streamer.speech import Segmenter

STEP_S = 0.01
Mask = npt.NDArray[np.bool_]


def main(folder: Path) -> None:
    """Print a table for every recording in the folder that has segments."""
    truth = _segments(folder)
    recordings = {path.stem: read_sound(path) for path in sorted(folder.glob("*.wav"))}
    ends = _scored_until(folder)
    levels = np.arange(-70, -10, 1.0)
    ways: dict[str, Callable[[npt.NDArray[np.int16]], Mask]] = {
        "Credence": _ours,
        "everything is speech": lambda pcm: np.ones(_steps(pcm), dtype=bool),
        **{f"level {db:.0f} dB": _level(db) for db in levels},
        **{f"level {db:.0f} dB, pauses bridged": _bridged(_level(db)) for db in levels},
    }
    scores = {
        name: [
            _score(way(pcm), truth[stem], min(ends.get(stem, 1e9), len(pcm) / SAMPLE_RATE_HZ))
            for stem, pcm in recordings.items()
        ]
        for name, way in ways.items()
    }

    def error(name: str) -> float:
        missed, false, speech = np.sum(scores[name], axis=0)
        return float((missed + false) / speech)

    best = [
        min((n for n in ways if n.startswith("level") and ("bridged" in n) == bridged), key=error)
        for bridged in (True, False)
    ]
    table = Table("", "missed speech", "false alarm", "error", title="shares of the speech")
    for name in ("Credence", *best, "everything is speech"):
        missed, false, speech = np.sum(scores[name], axis=0)
        table.add_row(
            name + (" (the best)" if name in best else ""),
            *(f"{100 * part / speech:.1f} %" for part in (missed, false, missed + false)),
        )
    for stem, score in zip(recordings, scores["Credence"], strict=True):
        missed, false, speech = score
        table.add_row(
            f"  {stem}",
            f"{100 * missed / speech:.1f} %",
            f"{100 * false / speech:.1f} %",
            f"{100 * (missed + false) / speech:.1f} %",
        )
    Console().print(table)


def _ours(pcm: npt.NDArray[np.int16]) -> Mask:
    segmenter = Segmenter(Vad(), longest_s=8.0)
    heard = np.zeros(_steps(pcm), dtype=bool)
    found = [*segmenter.feed(AudioChunk(0.0, pcm)), *segmenter.close()]
    for utterance in found:
        heard[round(utterance.start_s / STEP_S) : round(utterance.end_s / STEP_S)] = True
    return heard


def _level(db: float) -> Callable[[npt.NDArray[np.int16]], Mask]:
    def louder(pcm: npt.NDArray[np.int16]) -> Mask:
        width = round(0.03 * SAMPLE_RATE_HZ)
        energy = np.convolve((pcm / 32768.0) ** 2, np.ones(width) / width, mode="same")
        every = round(STEP_S * SAMPLE_RATE_HZ)
        return np.asarray(energy[::every][: _steps(pcm)] > 10 ** (db / 10))

    return louder


def _bridged(
    way: Callable[[npt.NDArray[np.int16]], Mask],
) -> Callable[[npt.NDArray[np.int16]], Mask]:
    """Count pauses up to the hangover as speech."""
    steps = round(Vad().hangover_s / STEP_S)

    def bridged(pcm: npt.NDArray[np.int16]) -> Mask:
        heard = way(pcm)
        loud = np.flatnonzero(heard)
        for before, after in pairwise(loud):
            if after - before <= steps:
                heard[before:after] = True
        return heard

    return bridged


def _score(heard: Mask, segments: list[tuple[float, float]], end_s: float) -> tuple[float, ...]:
    """Return seconds of missed speech, of false alarm, and of speech, up to ``end_s``."""
    speech = np.zeros_like(heard)
    for start_s, stop_s in segments:
        speech[round(start_s / STEP_S) : round(stop_s / STEP_S)] = True
    heard, speech = heard[: round(end_s / STEP_S)], speech[: round(end_s / STEP_S)]
    return tuple(float(part.sum()) * STEP_S for part in (speech & ~heard, heard & ~speech, speech))


def _segments(folder: Path) -> dict[str, list[tuple[float, float]]]:
    segments: dict[str, list[tuple[float, float]]] = {}
    for path in folder.glob("*.rttm"):
        for line in path.read_text(encoding="utf-8").splitlines():
            _, stem, _, start, length, *_ = line.split()
            segments.setdefault(stem, []).append((float(start), float(start) + float(length)))
    return segments


def _scored_until(folder: Path) -> dict[str, float]:
    lines = [line.split() for p in folder.glob("*.uem") for line in p.read_text().splitlines()]
    return {line[0]: float(line[3]) for line in lines if line}


def _steps(pcm: npt.NDArray[np.int16]) -> int:
    return round(len(pcm) / SAMPLE_RATE_HZ / STEP_S)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
