"""`python -m train.distil --data DATA --output FOLDER`: a teacher, and its lesson for a student."""

import argparse
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from train.data import goemotions, meld
from train.data.samples import Samples
from train.distil.teacher import Teacher, label, teach
from train.distil.texts import made_up
from train.distil.words import table
from train.lesson import Lesson
from train.metrics import scores

_READERS: Final = (goemotions.read, meld.read)
_NAMES: Final = ("goemotions", "meld")
_TRUST: Final = 0.7
"""The teacher's share of a text's target; the rest is what the raters said."""


def main() -> None:
    """Teach, print the teacher's figures after each epoch, and write `lesson.npz`."""
    asked = argparse.ArgumentParser(prog="python -m train.distil")
    asked.add_argument("--data", type=Path, required=True, help="the folder that holds text")
    asked.add_argument("--output", type=Path, required=True, help="goes on where it was stopped")
    asked.add_argument("--epochs", type=int, default=2)
    asked.add_argument("--made-up", type=int, default=80_000, help="texts that nobody wrote")
    asked.add_argument("--width", type=int, default=128, help="as `width` in the recipe")
    given = asked.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    train = [read(given.data, "train") for read in _READERS]
    valid = [read(given.data, "valid") for read in _READERS]
    targets = np.concatenate([samples.targets for samples in train])
    corpus = np.repeat(np.arange(len(train)), [len(samples.inputs) for samples in train])
    teacher = Teacher(len(train))
    for epoch, loss in teach(
        teacher, _texts(train), targets, corpus, given.epochs, given.output / "teacher.pt"
    ):
        print(f"epoch {epoch}: loss {loss:.4f}; {_figures(teacher, valid)}", flush=True)
    path = given.output / "lesson.npz"
    _lesson(teacher, train, given.made_up, given.width).write(path)
    print(f"wrote {path}")


def _texts(parts: list[Samples]) -> list[str]:
    return [str(text) for samples in parts for text in samples.inputs]


def _figures(teacher: Teacher, valid: list[Samples]) -> str:
    seen = []
    for i, (name, samples) in enumerate(zip(_NAMES, valid, strict=True)):
        guess = label(teacher, _texts([samples]))[:, i].argmax(axis=1)
        figures = scores(samples.targets.argmax(axis=1), guess)
        seen.append(
            f"{name} " + " ".join(f"{k} {figures[k]:.3f}" for k in ("macro_f1", "weighted_f1"))
        )
    return ", ".join(seen)


def _lesson(teacher: Teacher, train: list[Samples], made: int, width: int) -> Lesson:
    """Every corpus' own texts, and as many made-up ones in the manner of each."""
    rng = np.random.default_rng(0)
    texts: list[str] = []
    targets: list[npt.NDArray[np.float32]] = []
    for i, samples in enumerate(train):
        own = _texts([samples])
        more = made_up(own, made // len(train), rng)
        heard = _shares(label(teacher, own + more)[:, i])
        mixed = _TRUST * heard[: len(own)] + (1 - _TRUST) * samples.targets
        texts += [" ".join(text.split()) for text in own + more]
        targets += [mixed, heard[len(own) :]]
    return Lesson(tuple(texts), np.concatenate(targets), table(teacher, _texts(train), width))


def _shares(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    shares: npt.NDArray[np.float32] = torch.from_numpy(logits).softmax(dim=1).numpy()
    return shares


if __name__ == "__main__":
    main()
