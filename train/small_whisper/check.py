"""From a trained network to a model's folder, and how many words it gets wrong."""

import tempfile
from pathlib import Path
from typing import Any

from ctranslate2.converters import TransformersConverter
from faster_whisper import WhisperModel

from train.small_whisper.takes import Take
from train.small_whisper.words import Words


def convert(whisper: Any, words: Words, folder: Path) -> None:
    """Write the model as faster-whisper reads it, in 8 bits."""
    with tempfile.TemporaryDirectory() as made:
        whisper.save_pretrained(made)
        words.tokenizer.save_pretrained(made)
        converter = TransformersConverter(made, copy_files=["tokenizer.json"])
        converter.convert(str(folder), quantization="int8", force=True)


def error_rate(folder: Path, takes: list[Take]) -> tuple[float, int]:
    """Return the word error rate, and the number of sentences with an error."""
    model = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=1)
    errors = []
    for take in takes:
        segments, _ = model.transcribe(
            take.pcm, temperature=0.0, without_timestamps=True, condition_on_previous_text=False
        )
        first = next(iter(segments), None)
        errors.append(word_errors(take.text, first.text if first else ""))
    return sum(errors) / sum(len(take.text.split()) for take in takes), sum(map(bool, errors))


def word_errors(truth: str, said: str) -> int:
    """Return how many words must be put in, taken out or replaced."""
    wanted, found = _plain(truth), _plain(said)
    costs = list(range(len(found) + 1))
    for row, word in enumerate(wanted, 1):
        above, costs[0] = costs[0], row
        for column, other in enumerate(found, 1):
            swap = above + (word != other)
            above = costs[column]
            costs[column] = min(swap, above + 1, costs[column - 1] + 1)
    return costs[-1]


def _plain(text: str) -> list[str]:
    return "".join(c for c in text.lower() if c.isalnum() or c.isspace()).split()
