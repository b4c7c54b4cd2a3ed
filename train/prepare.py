"""From samples to what training and validation are fed with."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engines.engine import Engine, tensor
from engines.labels import EMOTIONS
from engines.opinion import Opinion
from engines.preprocess import voice
from engines.quality import Quality
from engines.quality import measure as quality
from engines.runtime import Batch
from engines.window import FaceWindow, TextWindow, VoiceWindow, Window
from train import augment, augment_text
from train.data import CORPORA, table
from train.data.samples import Array, DataError, Input, Part, Samples, fold_of
from train.lesson import read_lesson
from train.recipe import FaceRecipe, Recipe, RecipeError, TextRecipe


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """Held-out samples of one corpus, preprocessed as live windows are."""

    name: str
    rows: Batch
    """(M, ...) one per face, one or more per voice or text."""
    owner: npt.NDArray[np.int64]
    """(M,) the sample that each row belongs to."""
    targets: npt.NDArray[np.float32]
    """(N, 7) share of each emotion."""
    strata: tuple[str, ...]
    people: tuple[str, ...]
    """By sample, who it is of; where nobody is named, every sample is somebody else's."""
    unreadable: tuple[str, ...]
    """What was wrong with each that was left out."""

    @property
    def truth(self) -> npt.NDArray[np.int64]:
        """(N,) the class of each sample."""
        return np.asarray(self.targets.argmax(axis=1), dtype=np.int64)


def read_part(recipe: Recipe, name: str, data: Path, part: Part) -> Samples:
    """Read one of a recipe's corpora, or a table below the data folder; of a fold, its share."""
    if recipe.fold is None:
        return _read(recipe, name, data, part)
    own, folds = recipe.fold
    everyone = _read(recipe, name, data, "train") + _read(recipe, name, data, "valid")
    held = fold_of(everyone.people, folds) == own - 1
    return everyone.take(np.flatnonzero(held if part == "valid" else ~held))


def _read(recipe: Recipe, name: str, data: Path, part: Part) -> Samples:
    if name.endswith(".csv"):
        samples = table.read(data / name, recipe.kind, part)
        # Not the file's name alone: two folders may hold tables of the same name.
        return replace(samples, strata=(name,) * len(samples.strata))
    corpus = CORPORA.get(name)
    if corpus is None or corpus.kind != recipe.kind:
        known = ", ".join(n for n, c in CORPORA.items() if c.kind == recipe.kind)
        raise RecipeError(
            Path(recipe.name), f"{name!r} is no {recipe.kind} corpus; use {known} or a .csv table"
        )
    return corpus.read(data, part)


def training(
    recipe: Recipe, data: Path
) -> tuple[list[Input], npt.NDArray[np.float32], tuple[str, ...]]:
    """Return all training items, ready for `vary`, their targets (N, 7), and what was left out."""
    if isinstance(recipe, TextRecipe) and recipe.lesson:
        lesson = read_lesson(recipe.lesson)
        return list(lesson.texts), lesson.targets, ()
    parts = [read_part(recipe, name, data, "train") for name in recipe.data]
    inputs = [item for samples in parts for item in samples.inputs]
    if recipe.kind == "voice":
        inputs = [voice.log_mel(pcm) for pcm in _arrays(inputs)]
    left_out = tuple(problem for samples in parts for problem in samples.unreadable)
    return inputs, np.concatenate([samples.targets for samples in parts]), left_out


def vary(recipe: Recipe, items: list[Input], rng: np.random.Generator) -> Batch:
    """Return a varied batch (B, ...) for the recipe's network."""
    if isinstance(recipe, TextRecipe):
        said = [item for item in items if isinstance(item, str)]
        return augment_text.texts(said, recipe.augment, rng)
    if isinstance(recipe, FaceRecipe):
        return augment.faces(_arrays(items), recipe.augment, rng)
    return augment.voices(_arrays(items), recipe.augment, rng)


def held_out(recipe: Recipe, data: Path) -> list[Held]:
    """Return the validation samples of every corpus of a recipe."""
    parts = [(name, read_part(recipe, name, data, "valid")) for name in recipe.data]
    return [_hold(recipe, name, samples) for name, samples in parts]


def check_classes(
    data: Path, targets: npt.NDArray[np.float32], held: list[Held]
) -> tuple[str, ...]:
    """Return the emotions that nobody shows; DataError where they are held out, not trained on.

    Also raises DataError where one emotion is all that is trained on, or one person all that is
    held out.
    """
    if len({who for part in held for who in part.people}) < 2:
        raise DataError(
            data,
            "one person only is held out; hold out two or more, to fit trust and to measure it",
        )
    trained = targets.sum(axis=0) > 0
    if trained.sum() < 2:
        raise DataError(data, "one emotion only is trained on; add samples of another")
    tried = np.concatenate([part.targets for part in held]).sum(axis=0) > 0
    if missing := [EMOTIONS[i] for i in np.flatnonzero(tried & ~trained)]:
        raise DataError(
            data,
            f"{' and '.join(missing)} is held out but nowhere trained on; add samples of it to the"
            " training part or take it out",
        )
    return tuple(EMOTIONS[i] for i in np.flatnonzero(~trained))


def window(kind: str, item: Input) -> Window:
    """Return the window that an engine is given for one sample."""
    if isinstance(item, str):
        return TextWindow(0.0, 0.0, item)
    if kind == "face":
        return FaceWindow(0.0, 0.0, item[None])
    return VoiceWindow(0.0, item)


def judged(engine: Engine, item: Input) -> tuple[Opinion, Quality]:
    """Judge one sample as a live window is, and measure its quality."""
    seen = window(engine.manifest.kind, item)
    return engine.judge(seen), quality(seen)


def _hold(recipe: Recipe, name: str, samples: Samples) -> Held:
    rows: list[Array] = [tensor(window(recipe.kind, item)) for item in samples.inputs]
    return Held(
        name,
        np.concatenate(rows),
        np.repeat(np.arange(len(rows)), list(map(len, rows))),
        samples.targets,
        samples.strata,
        tuple(who or f"{name} {i}" for i, who in enumerate(samples.people)),
        samples.unreadable,
    )


def _arrays(items: Sequence[Input]) -> list[Array]:
    return [item for item in items if not isinstance(item, str)]


def balance(targets: npt.NDArray[np.float32], power: float) -> npt.NDArray[np.float32]:
    """Return the weight (7,) of each class: 1/frequency to a power, of mean 1 over the targets."""
    frequency = targets.mean(axis=0).astype(np.float64)
    seen = frequency > 0
    weight = np.where(seen, frequency * len(EMOTIONS), 1.0) ** -power
    even: npt.NDArray[np.float32] = (weight / (weight * frequency).sum()).astype(np.float32)
    return even


def owners(held: Held) -> Sequence[npt.NDArray[np.int64]]:
    """Return for every sample the indices of its rows."""
    return [np.flatnonzero(held.owner == i) for i in range(len(held.truth))]
