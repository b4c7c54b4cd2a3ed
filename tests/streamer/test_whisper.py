"""A real Whisper, small, through the real faster-whisper: what it hears, and what it must not."""

import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NoReturn

import numpy as np
import numpy.typing as npt
import pytest

from engines.window import VoiceWindow
from streamer.clip import read_sound
from streamer.event import Transcript
from streamer.whisper import Whisper, WhisperModelError, doubt
from tests.media import DATA, SMALL_WHISPER, word_errors
from tests.streamer.whisper_model import LANGUAGES, write_multilingual

TAKES = DATA / "voice" / "ravdess"
TEXTS = {"01": "Kids are talking by the door", "02": "Dogs are sitting by the door"}
WORST_RATE = 0.10
"""Word error rate on speakers that the model was not trained on."""

needs_takes = pytest.mark.skipif(
    not TAKES.is_dir(), reason=f"no RAVDESS in {DATA}; set CREDENCE_DATA"
)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail a test in which a host is looked up, such as the hub where models come from."""
    asked: list[object] = []

    def look_up(host: object, *_: object, **__: object) -> NoReturn:
        asked.append(host)
        raise OSError("there is no network")

    monkeypatch.setattr("socket.getaddrinfo", look_up)
    yield
    assert asked == []


@cache
def whisper() -> Whisper:
    return Whisper(SMALL_WHISPER, threads=1)


def take(path: Path, start_s: float = 0.0) -> VoiceWindow:
    return VoiceWindow(start_s, read_sound(path).astype(np.float32) / np.float32(32768))


@needs_takes
@pytest.mark.timeout(180)
def test_word_error_rate_of_strangers() -> None:
    paths = sorted(path for path in TAKES.glob("*.flac") if path.stem[-2:] in ("19", "20"))
    began, errors = time.monotonic(), 0
    for path in paths:
        said = whisper().hear(take(path))
        text = said.text if isinstance(said, Transcript) else ""
        errors += word_errors(TEXTS[path.stem.split("-")[4]], text)
    rate = errors / (6 * len(paths))
    each_s = (time.monotonic() - began) / len(paths)
    print(f"word error rate {rate:.4f} on {len(paths)} takes, {each_s:.2f} s each")
    assert rate <= WORST_RATE


@needs_takes
def test_words_have_times_and_probabilities() -> None:
    said = whisper().hear(take(TAKES / "03-01-01-01-01-01-19.flac", start_s=100.0))
    assert isinstance(said, Transcript)
    assert (said.language, said.translation, said.english) == ("en", None, said.text)
    assert [word.word for word in said.words] == said.text.split()
    times = [at for word in said.words for at in (word.start_s, word.end_s)]
    assert times == sorted(times)
    assert 100 <= times[0] < times[-1] <= 104
    assert all(0 < word.probability <= 1 for word in said.words)
    assert said.avg_logprob < 0
    assert said.no_speech_prob < 0.5


@needs_takes
def test_the_same_sound_is_always_heard_the_same() -> None:
    voice = take(TAKES / "03-01-05-02-02-01-20.flac")
    assert len({str(whisper().hear(voice)) for _ in range(3)}) == 1


@needs_takes
def test_what_is_longer_than_whisper_hears_is_heard_in_pieces() -> None:
    once = take(TAKES / "03-01-01-01-01-01-19.flac").pcm
    rest = np.zeros(30 * 16_000 - len(once), np.float32)
    said = whisper().hear(VoiceWindow(0.0, np.concatenate([once, rest, once])))
    assert isinstance(said, Transcript)
    assert len(said.words) == 12
    assert said.words[6].start_s >= 30


def speechlike() -> VoiceWindow:
    pcm = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    return VoiceWindow(0.0, pcm)


def test_another_language_is_translated_and_kept(tmp_path: Path) -> None:
    said = Whisper(write_multilingual(tmp_path / "m"), language="de").hear(speechlike())
    assert isinstance(said, Transcript)
    assert said.language == "de"
    assert said.text
    assert said.translation
    assert said.english == said.translation


def test_the_language_is_detected(tmp_path: Path) -> None:
    said = Whisper(write_multilingual(tmp_path / "m")).hear(speechlike())
    assert isinstance(said, Transcript)
    assert said.language in LANGUAGES
    assert (said.translation is None) is (said.language == "en")


def silence(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    return np.zeros(32_000)


def hiss(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    return rng.normal(0, 0.05, 32_000)


def faint(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    return rng.normal(0, 1e-4, 32_000)


def hum(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    return 0.2 * np.sin(2 * np.pi * 120 * np.arange(32_000) / 16_000)


def click(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    return np.eye(1, 16_000, 8_000).ravel()


@pytest.mark.parametrize("sound", [silence, hiss, faint, hum, click])
def test_where_nobody_speaks_there_are_no_words(
    sound: Callable[[np.random.Generator], npt.NDArray[np.float64]],
) -> None:
    pcm = sound(np.random.default_rng(0)).astype(np.float32)
    assert whisper().hear(VoiceWindow(0.0, pcm)) == "no_speech"


def test_nothing_at_all_has_no_words() -> None:
    assert whisper().hear(VoiceWindow(0.0, np.zeros(0, np.float32))) == "no_speech"


@dataclass(frozen=True, slots=True)
class Segment:
    text: str
    avg_logprob: float = -0.3
    no_speech_prob: float = 0.1


@pytest.mark.parametrize(
    ("segment", "why"),
    [
        (Segment("I see."), None),
        (Segment("I see.", -1.1, 0.7), "no_speech"),
        (Segment("I see.", -1.1, 0.5), None),
        (Segment("I see.", -0.9, 0.7), None),
        (Segment(" "), "no_speech"),
        (Segment("Thank you. " * 12), "unintelligible"),
        (Segment("no, no, no"), None),
    ],
)
def test_what_whisper_makes_up_is_doubted(segment: Segment, why: str | None) -> None:
    assert doubt(segment) == why


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SMALL_WHISPER, tmp_path / "model"))


def refused(folder: Path) -> str:
    """Assert that a folder is refused in one sentence, and return it."""
    with pytest.raises(WhisperModelError) as caught:
        Whisper(folder, threads=1)
    said = str(caught.value)
    assert said.startswith(str(folder))
    assert "set transcript.model to" in said
    assert "\n" not in said
    return said


@pytest.mark.parametrize("name", ["tokenizer.json", "model.bin", "config.json", "vocabulary.json"])
def test_a_folder_without_a_file_is_refused(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert f"holds no {name}" in refused(folder)


def test_the_folder_is_checked_before_anything_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "faster_whisper", None)  # to import it would fail
    with pytest.raises(WhisperModelError, match="no such folder"):
        Whisper(tmp_path / "none", threads=1)
    with pytest.raises(WhisperModelError, match=r"no config.json and no model.bin"):
        Whisper(tmp_path, threads=1)


@pytest.mark.parametrize(
    ("name", "format_"),
    [
        ("model.safetensors", "Transformers"),
        ("pytorch_model.bin", "Transformers"),
        ("ggml-tiny.bin", "whisper.cpp"),
        ("tiny.pt", "OpenAI"),
    ],
)
def test_a_model_of_another_format_is_named(tmp_path: Path, name: str, format_: str) -> None:
    (tmp_path / name).touch()
    (tmp_path / "config.json").write_text("{}")
    assert format_ in refused(tmp_path)


def test_a_damaged_model_is_refused(folder: Path) -> None:
    (folder / "model.bin").write_bytes((folder / "model.bin").read_bytes()[:1000])
    assert "damaged" in refused(folder)


def test_another_tokenizer_is_refused(folder: Path) -> None:
    path = folder / "tokenizer.json"
    text = path.read_text().replace("<|startoftranscript|>", "<s>")
    path.write_text(text)
    assert "not Whisper's" in refused(folder)


def test_files_that_do_not_belong_together_are_refused(folder: Path) -> None:
    (folder / "preprocessor_config.json").write_text(json.dumps({"feature_size": 128}))
    assert "do not belong together" in refused(folder)


def test_an_unknown_language_is_refused(folder: Path) -> None:
    with pytest.raises(WhisperModelError, match="does not know the language 'de'"):
        Whisper(folder, language="de", threads=1)
