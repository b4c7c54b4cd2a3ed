"""The vocabulary of a Whisper that knows two sentences."""

from collections.abc import Iterable
from typing import Final

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

LETTERS: Final = " .abcdefghijklmnopqrstuvwxyz"
"""What the sentences are spelt with."""

_SPECIALS: Final = (
    "<|endoftext|>",
    "<|startoftranscript|>",
    "<|en|>",
    "<|translate|>",
    "<|transcribe|>",
    "<|startoflm|>",
    "<|startofprev|>",
    "<|nospeech|>",
    "<|notimestamps|>",
)
"""Whisper's, in its order: faster-whisper looks for them by name, and for times after the last."""

_TIMES: Final = 1501
"""One for every 20 ms of 30 s; the converter names them after the tokenizer's own."""


class Words:
    """A byte-level tokenizer whose merges are the words of the sentences."""

    def __init__(self, sentences: Iterable[str]) -> None:
        made = Tokenizer(models.BPE())
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=400,
            min_frequency=1,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        made.train_from_iterator([f" {text}" for text in sentences], trainer)
        made.add_special_tokens([AddedToken(name, special=True) for name in _SPECIALS])
        self.tokenizer = PreTrainedTokenizerFast(
            tokenizer_object=made,
            bos_token="<|startoftranscript|>",
            eos_token="<|endoftext|>",
            unk_token="<|endoftext|>",
        )
        self.size = len(self.tokenizer) + _TIMES
        self.start = self._id("<|startoftranscript|>")
        self.end = self._id("<|endoftext|>")
        self.english = self._id("<|en|>")
        self.no_speech = self._id("<|nospeech|>")
        self.blank: int = self.tokenizer.encode(" ")[0]

    def tokens(self, text: str, span_s: tuple[float, float] | None) -> list[int]:
        """Return a whole answer, with the times of its speech or without; "" is no speech."""
        words = self.tokenizer.encode(f" {text}") if text else []
        if span_s is None:
            return [self.start, self._id("<|notimestamps|>"), *words, self.end]
        if not text:
            return [self.start, self._at(0.0), self.end]
        return [self.start, self._at(span_s[0]), *words, self._at(span_s[1]), self.end]

    def _id(self, token: str) -> int:
        found: int = self.tokenizer.convert_tokens_to_ids(token)
        return found

    def _at(self, second: float) -> int:
        return len(self.tokenizer) + round(second / 0.02)
