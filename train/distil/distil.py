"""From the corpora of texts to a teacher, and from it to a lesson for a student."""

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from train.data import CORPORA
from train.data.samples import Samples
from train.distil.teacher import Teacher, label, teach
from train.distil.texts import made_up
from train.distil.words import table
from train.lesson import Lesson
from train.metrics import scores
from train.run import make, write

_CORPORA: Final = {name: corpus for name, corpus in CORPORA.items() if corpus.kind == "text"}
_TRUST: Final = 0.7
"""The teacher's share of a text's target; the rest is what the raters said."""
_MADE_UP: Final = 80_000
"""Texts that nobody wrote."""
_WIDTH: Final = 128
"""As `width` in the recipe."""


def distil(data: Path, output: Path) -> None:
    """Teach, print the teacher's figures after each epoch, and write `lesson.npz`.

    Goes on after the last whole epoch. Raises DataError, and RunError if the folder cannot be used.
    """
    make(output)
    torch.set_num_threads(1)
    train = [corpus.read(data, "train") for corpus in _CORPORA.values()]
    valid = [corpus.read(data, "valid") for corpus in _CORPORA.values()]
    targets = np.concatenate([samples.targets for samples in train])
    corpora = np.repeat(np.arange(len(train)), [len(samples.inputs) for samples in train])
    teacher = Teacher(len(train))
    for epoch, loss in teach(teacher, _texts(train), targets, corpora, output / "teacher.pt"):
        print(f"epoch {epoch}: loss {loss:.4f}; {_figures(teacher, valid)}", flush=True)
    path = output / "lesson.npz"
    write(path, _lesson(teacher, train).packed())
    print(f"wrote {path}")


def _texts(parts: list[Samples]) -> list[str]:
    return [str(text) for samples in parts for text in samples.inputs]


def _figures(teacher: Teacher, valid: list[Samples]) -> str:
    seen = []
    for i, (name, samples) in enumerate(zip(_CORPORA, valid, strict=True)):
        guess = label(teacher, _texts([samples]))[:, i].argmax(axis=1)
        figures = scores(samples.targets.argmax(axis=1), guess)
        seen.append(
            f"{name} " + " ".join(f"{k} {figures[k]:.3f}" for k in ("macro_f1", "weighted_f1"))
        )
    return ", ".join(seen)


def _lesson(teacher: Teacher, train: list[Samples]) -> Lesson:
    """Every corpus' own texts, and as many made-up ones in the manner of each."""
    rng = np.random.default_rng(0)
    texts: list[str] = []
    targets: list[npt.NDArray[np.float32]] = []
    for i, samples in enumerate(train):
        own = _texts([samples])
        more = made_up(own, _MADE_UP // len(train), rng)
        heard = _shares(label(teacher, own + more)[:, i])
        mixed = _TRUST * heard[: len(own)] + (1 - _TRUST) * samples.targets
        texts += [" ".join(text.split()) for text in own + more]
        targets += [mixed, heard[len(own) :]]
    return Lesson(tuple(texts), np.concatenate(targets), table(teacher, _texts(train), _WIDTH))


def _shares(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    shares: npt.NDArray[np.float32] = torch.from_numpy(logits).softmax(dim=1).numpy()
    return shares
