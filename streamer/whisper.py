"""A Whisper model, and what it hears: words that are likely to have been said, or none."""

import hashlib
import os
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from engines.errors import CredenceError
from engines.window import SAMPLE_RATE_HZ, VoiceWindow
from streamer.event import Absence, Transcript, Word
from streamer.flow import Said

if TYPE_CHECKING:
    from faster_whisper.transcribe import Segment

Pcm = npt.NDArray[np.float32]

_NEEDED: Final = ("config.json", "model.bin", "tokenizer.json")
_VOCABULARIES: Final = ("vocabulary.json", "vocabulary.txt")
_FOREIGN: Final = {
    "*.safetensors": "in the format of Transformers",
    "pytorch_model*.bin": "in the format of Transformers",
    "ggml*.bin": "in the format of whisper.cpp",
    "*.gguf": "in the format of whisper.cpp",
    "*.pt": "in OpenAI's own format",
    "*.onnx": "in the format of ONNX",
}

_PIECE_S: Final = 30
"""Whisper hears no more at once."""
_QUIET_DB: Final = -55.0
"""Of full scale: what is nowhere louder is not asked about, as Whisper makes words of silence."""
_NO_SPEECH: Final = 0.6
_UNSURE: Final = -1.0
"""Silence is likelier than _NO_SPEECH and the words have a lower log-probability: nobody spoke."""
_REPETITIVE: Final = 2.4
"""Text that zlib makes smaller by more is Whisper going round in circles."""
_TOKENS_PER_S: Final = 12
"""Nobody speaks faster; what goes in circles is stopped early."""


class WhisperModelError(CredenceError):
    """A folder that holds no Whisper model that can be used."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(
            f"{path}: {problem}; set transcript.model to a folder in faster-whisper's format, "
            f"to tiny, base or small, or to none"
        )
        self.path, self.problem = path, problem


class Whisper:
    """A model in memory. `hear` blocks, and is for as many threads at a time as ``callers``.

    Raises a WhisperModelError for a folder that cannot be used. Never asks the network.
    """

    def __init__(
        self, folder: Path, *, language: str = "auto", threads: int = 2, callers: int = 1
    ) -> None:
        check_folder(folder)
        # Set before the first import: what is missing shall fail, not be looked for on a hub.
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        from faster_whisper import WhisperModel  # noqa: PLC0415 - slow, and seldom needed

        try:
            self._model = WhisperModel(
                str(folder),
                device="cpu",
                compute_type="int8",
                cpu_threads=threads,
                num_workers=callers,
            )
        except Exception as error:  # the libraries underneath raise what they like
            raise WhisperModelError(folder, "model.bin or tokenizer.json is damaged") from error
        if self._model.hf_tokenizer.token_to_id("<|startoftranscript|>") is None:
            raise WhisperModelError(folder, "tokenizer.json is not Whisper's")
        known = self._model.supported_languages
        if language not in ("auto", *known):
            raise WhisperModelError(folder, f"this model does not know the language {language!r}")
        self._language = None if language == "auto" else language
        self.hash = _hash(folder)
        """First 16 hexadecimal digits of the SHA-256 of model and vocabulary."""
        self._warm_up(folder)

    def hear(self, voice: VoiceWindow, *, draft: bool = False) -> Said:
        """Return what is said, or `no_speech`, or `unintelligible`.

        A ``draft`` costs less: it has no translation, and no times of words.
        """
        if _level_db(voice.pcm) < _QUIET_DB:
            return "no_speech"
        heard = [self._hear_piece(pcm, start_s, draft) for pcm, start_s in _pieces(voice)]
        said = [each for each in heard if isinstance(each, Transcript)]
        if said:
            return _joined(said)
        return "unintelligible" if "unintelligible" in heard else "no_speech"

    def _hear_piece(self, pcm: Pcm, start_s: float, draft: bool) -> Said:
        segment, language = self._transcribe(pcm, "transcribe", self._language, timed=not draft)
        if segment is None:
            return "no_speech"
        if (why := doubt(segment)) is not None:
            return why
        words = tuple(
            Word(
                word=word.word.strip(),
                start_s=start_s + word.start,
                end_s=start_s + max(word.start, word.end),
                probability=min(float(word.probability), 1.0),
            )
            for word in segment.words or ()
        )
        return Transcript(
            text=segment.text.strip(),
            language=language,
            translation=None if draft else self._translate(pcm, language),
            words=words,
            avg_logprob=segment.avg_logprob,
            no_speech_prob=segment.no_speech_prob,
        )

    def _translate(self, pcm: Pcm, language: str) -> str | None:
        if language == "en" or not self._model.model.is_multilingual:
            return None
        segment, _ = self._transcribe(pcm, "translate", language)
        return segment.text.strip() if segment and doubt(segment) is None else None

    def _transcribe(
        self, pcm: Pcm, task: str, language: str | None, *, timed: bool = False
    ) -> tuple["Segment | None", str]:
        segments, info = self._model.transcribe(
            pcm,
            task=task,
            language=language,
            temperature=0.0,  # trying again at higher ones would be slow, and differ each time
            condition_on_previous_text=False,
            without_timestamps=True,  # one segment, and one run of the decoder
            word_timestamps=timed,
            max_new_tokens=round(_TOKENS_PER_S * (1 + len(pcm) / SAMPLE_RATE_HZ)),
            vad_filter=False,
            # Judged by `doubt`, which says why.
            no_speech_threshold=None,
            log_prob_threshold=None,
            compression_ratio_threshold=None,
        )
        return next(islice(segments, 1), None), info.language

    def _warm_up(self, folder: Path) -> None:
        try:
            self._transcribe(
                np.zeros(SAMPLE_RATE_HZ // 10, np.float32), "transcribe", "en", timed=True
            )
        except Exception as error:
            problem = "its files do not belong together (preprocessor_config.json may be missing)"
            raise WhisperModelError(folder, problem) from error


def check_folder(folder: Path) -> None:
    """Raise a WhisperModelError unless all files of a model are there. Takes no time."""
    if not folder.is_dir():
        raise WhisperModelError(folder, "there is no such folder")
    missing = [name for name in _NEEDED if not (folder / name).is_file()]
    if not any((folder / name).is_file() for name in _VOCABULARIES):
        missing.append(_VOCABULARIES[0])
    if not missing:
        return
    for pattern, problem in _FOREIGN.items():
        if next(folder.glob(pattern), None) and "model.bin" in missing:
            raise WhisperModelError(folder, f"holds a model {problem}")
    raise WhisperModelError(folder, f"holds no {' and no '.join(missing)}")


def doubt(segment: "Segment") -> Absence | None:
    """Say why Whisper most likely made words up; None where it did not."""
    if segment.no_speech_prob > _NO_SPEECH and segment.avg_logprob < _UNSURE:
        return "no_speech"
    text = segment.text.strip().encode()
    if len(text) / len(zlib.compress(text)) > _REPETITIVE:
        return "unintelligible"
    return None if text else "no_speech"


def _pieces(voice: VoiceWindow) -> Iterator[tuple[Pcm, float]]:
    length = _PIECE_S * SAMPLE_RATE_HZ
    for start in range(0, len(voice.pcm), length):
        yield voice.pcm[start : start + length], voice.start_s + start / SAMPLE_RATE_HZ


def _joined(said: list[Transcript]) -> Transcript:
    if len(said) == 1:
        return said[0]
    english = [each.english or "" for each in said]
    translated = any(each.translation for each in said)
    return Transcript(
        text=" ".join(each.text for each in said),
        language=said[0].language,
        translation=" ".join(filter(None, english)) if translated else None,
        words=tuple(word for each in said for word in each.words),
        avg_logprob=sum(each.avg_logprob for each in said) / len(said),
        no_speech_prob=max(each.no_speech_prob for each in said),
    )


def _level_db(pcm: Pcm) -> float:
    """Return the level of the loudest twentieth of 20 ms frames, in dB of full scale."""
    frame = SAMPLE_RATE_HZ // 50
    whole = pcm[: len(pcm) // frame * frame].reshape(-1, frame)
    if not len(whole):
        return -np.inf
    return float(10 * np.log10(np.percentile((whole**2).mean(axis=1), 95) + 1e-12))


def _hash(folder: Path) -> str:
    digest = hashlib.sha256()
    for name in sorted((*_NEEDED, *_VOCABULARIES)):
        if (folder / name).is_file():
            with (folder / name).open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]
