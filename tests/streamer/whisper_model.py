"""A multilingual Whisper with random weights: it says nonsense, in any language."""

from pathlib import Path
from typing import Any

import numpy as np
from ctranslate2.specs.whisper_spec import WhisperSpec
from tokenizers import Tokenizer, models

LANGUAGES = ("en", "zh", "de")
WIDTH = 16

_WORDS = ["", *(f"word{n}" for n in range(300))]
"""The empty one tells CTranslate2 that the model is multilingual."""
_SPECIALS = [
    "<|endoftext|>",
    "<|startoftranscript|>",
    *(f"<|{name}|>" for name in LANGUAGES),
    "<|translate|>",
    "<|transcribe|>",
    "<|startoflm|>",
    "<|startofprev|>",
    "<|nospeech|>",
    "<|notimestamps|>",
]
_TOKENS = _WORDS + _SPECIALS
_TIMES = [f"<|{n * 0.02:.2f}|>" for n in range(1501)]


def write_multilingual(folder: Path) -> Path:
    """Write a model of the right shape, in faster-whisper's format."""
    random = np.random.default_rng(0)
    spec: Any = WhisperSpec(1, 1, 1, 1)
    for stack, positions in ((spec.encoder, 1500), (spec.decoder, 448)):
        # Large, so that what is said changes from word to word.
        stack.position_encodings.encodings = _weights(random, positions, WIDTH) * 50
        _set_norm(stack.layer_norm)
        for layer in stack.layer:
            _set_layer(layer, random)
    for conv, channels in ((spec.encoder.conv1, 80), (spec.encoder.conv2, WIDTH)):
        conv.weight, conv.bias = _weights(random, WIDTH, channels, 3), _weights(random, WIDTH)
    words = _weights(random, len(_TOKENS) + len(_TIMES), WIDTH)
    spec.decoder.embeddings.weight = spec.decoder.projection.weight = words
    spec.config.lang_ids = [_TOKENS.index(f"<|{name}|>") for name in LANGUAGES]
    spec.config.suppress_ids = spec.config.suppress_ids_begin = []
    spec.config.alignment_heads = [(0, 0)]
    spec.register_vocabulary(_TOKENS + _TIMES)
    spec.validate()
    spec.optimize(quantization="int8")
    folder.mkdir()
    spec.save(str(folder))
    vocabulary = {token: number for number, token in enumerate(_TOKENS)}
    Tokenizer(models.WordLevel(vocabulary, unk_token="word0")).save(str(folder / "tokenizer.json"))
    return folder


def _set_layer(layer: Any, random: np.random.Generator) -> None:
    _set_attention(layer.self_attention, random, [3 * WIDTH, WIDTH])
    if hasattr(layer, "attention"):
        _set_attention(layer.attention, random, [WIDTH, 2 * WIDTH, WIDTH])
    _set_norm(layer.ffn.layer_norm)
    _set_linear(layer.ffn.linear_0, random, WIDTH)
    _set_linear(layer.ffn.linear_1, random, WIDTH)


def _set_attention(attention: Any, random: np.random.Generator, widths: list[int]) -> None:
    _set_norm(attention.layer_norm)
    for linear, width in zip(attention.linear, widths, strict=True):
        _set_linear(linear, random, width)


def _set_linear(linear: Any, random: np.random.Generator, width: int) -> None:
    linear.weight, linear.bias = _weights(random, width, WIDTH), np.zeros(width, np.float32)


def _set_norm(norm: Any) -> None:
    norm.gamma, norm.beta = np.ones(WIDTH, np.float32), np.zeros(WIDTH, np.float32)


def _weights(random: np.random.Generator, *shape: int) -> Any:
    return random.normal(0, 0.1, shape).astype(np.float32)
