import wave
from pathlib import Path

import numpy as np
import pytest

from engines.labels import EMOTIONS
from train.data import emodb, ferplus, ravdess
from train.data.samples import DataError
from train.data.sound import read_sound


def test_ferplus_valid_has_one_right_answer_each(corpora: Path) -> None:
    samples = ferplus.read(corpora, "valid")
    assert len(samples.inputs) == 3352
    assert np.shape(samples.inputs[0]) == (48, 48)
    np.testing.assert_allclose(samples.targets.sum(axis=1), 1, atol=1e-6)
    best = np.sort(samples.targets, axis=1)
    assert (best[:, -1] > best[:, -2]).all()


def test_ferplus_decided_follows_its_definition() -> None:
    #                 neu hap sur sad ang dis fea con unk not
    votes = np.array(
        [
            [5, 5, 0, 0, 0, 0, 0, 0, 0, 0],  # two at the top
            [4, 1, 0, 0, 0, 0, 0, 2, 3, 0],  # one more than unknown
            [5, 1, 0, 0, 0, 0, 0, 1, 3, 0],  # two more than unknown
            [3, 0, 0, 0, 0, 0, 0, 5, 1, 1],  # contempt does not count
            [4, 0, 0, 0, 0, 0, 0, 3, 0, 3],  # one more than not a face
        ],
        dtype=np.uint8,
    )
    assert ferplus.decided(votes).tolist() == [False, False, True, True, False]


def test_ferplus_targets_are_in_the_order_of_emotions(corpora: Path) -> None:
    with np.load(corpora / "face" / "ferplus_valid.npz") as file:
        votes, images = file["votes"], file["images"]
    samples = ferplus.read(corpora, "valid")
    index = int(samples.paths[0].rpartition("#")[2])
    np.testing.assert_array_equal(images[index], samples.inputs[0])
    top = ferplus.VOTES[int(votes[index][:7].argmax())]
    assert EMOTIONS[int(samples.targets[0].argmax())] == top


def test_ravdess_shares_no_actor_and_leaves_calm_out(some_voices: Path) -> None:
    samples, train = (ravdess.read(some_voices, part) for part in ("valid", "train"))
    actors = {Path(path).stem[-2:] for path in samples.paths}
    assert actors == {"17", "18", "19", "20"}
    assert not actors & {Path(path).stem[-2:] for path in train.paths}
    assert all(Path(path).stem[6:8] != "02" for path in samples.paths + train.paths)
    assert np.asarray(samples.inputs[0]).dtype == np.float32
    assert 2 < len(samples.inputs[0]) / 16_000 < 7


def test_emodb_shares_no_speaker_and_leaves_boredom_out(some_voices: Path) -> None:
    train, valid = (
        {Path(path).stem for path in emodb.read(some_voices, part).paths}
        for part in ("train", "valid")
    )
    assert not {name[:2] for name in train} & {name[:2] for name in valid}
    assert all(name[5] != "L" for name in train | valid)


def silence(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(bytes(3200))


NAMES = [
    ("voice/ravdess/03-01-{}-01-01-01-01.flac", code, emotion)
    for code, emotion in {
        "01": "neutral",
        "03": "happiness",
        "04": "sadness",
        "05": "anger",
        "06": "fear",
        "07": "disgust",
        "08": "surprise",
    }.items()
] + [
    ("voice/emodb/03a01{}a.flac", code, emotion)
    for code, emotion in {
        "W": "anger",
        "E": "disgust",
        "A": "fear",
        "F": "happiness",
        "T": "sadness",
        "N": "neutral",
    }.items()
]


@pytest.mark.parametrize(("name", "code", "emotion"), NAMES)
def test_names_of_takes_say_their_emotion(
    tmp_path: Path, name: str, code: str, emotion: str
) -> None:
    path = tmp_path / name.format(code)
    silence(path)
    for stray in ("notes.flac", "._x.flac", "03-01-xx.flac"):
        (path.parent / stray).write_text("stray")
    samples = (ravdess if "ravdess" in name else emodb).read(tmp_path, "train")
    assert [EMOTIONS[i] for i in samples.targets.argmax(axis=1)] == [emotion]
    assert samples.people == (f"{path.parent.name} {'01' if 'ravdess' in name else '03'}",)


def test_columns_of_ferplus_say_their_emotion(tmp_path: Path) -> None:
    (tmp_path / "face").mkdir()
    votes = np.eye(10, dtype=np.uint8) * 10
    path = tmp_path / "face" / "ferplus_valid.npz"
    np.savez(path, images=np.zeros((10, 48, 48), np.uint8), votes=votes)
    samples = ferplus.read(tmp_path, "valid")
    columns = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear")
    assert tuple(EMOTIONS[i] for i in samples.targets.argmax(axis=1)) == columns
    for content in (b"", b"PK", path.read_bytes()[:500]):
        path.write_bytes(content)
        with pytest.raises(DataError, match="no FER"):
            ferplus.read(tmp_path, "valid")


@pytest.mark.parametrize("reader", [ferplus.read, ravdess.read, emodb.read])
def test_readers_say_where_they_looked(reader: object, tmp_path: Path) -> None:
    assert callable(reader)
    with pytest.raises(DataError, match="--data"):
        reader(tmp_path, "train")


def test_sound_of_another_rate_in_stereo_becomes_16_khz_mono(tmp_path: Path) -> None:
    seconds, rate = 0.5, 44_100
    tone = 0.4 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate)) / rate)
    pcm = (np.column_stack([tone, tone]) * 32767).astype("<i2")
    with wave.open(str(tmp_path / "tone.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm.tobytes())
    sound = read_sound(tmp_path / "tone.wav")
    assert abs(len(sound) - 8000) <= 32
    peak = np.abs(np.fft.rfft(sound)).argmax() * 16_000 / len(sound)
    assert abs(peak - 440) < 3
    assert 0.35 < np.abs(sound).max() < 0.45


def test_sound_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("no sound")
    for name in ("a.wav", "missing.wav", "."):
        with pytest.raises(DataError, match=r"sound|no file"):
            read_sound(tmp_path / name)


def test_sound_that_changes_midway_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Strict:
        def __init__(self, **_: object) -> None: ...

        def resample(self, _: object) -> None:
            raise ValueError("Frame does not match AudioResampler setup.")

    silence(tmp_path / "a.wav")
    monkeypatch.setattr("av.AudioResampler", Strict)
    with pytest.raises(DataError, match="no sound"):
        read_sound(tmp_path / "a.wav")
