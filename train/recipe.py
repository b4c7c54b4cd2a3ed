"""A recipe: everything that decides which network comes out of training."""

import difflib
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import (
    AfterValidator,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from engines.errors import CredenceError
from train.multilabel.recipe import LdduLoss, LdduOptimise, LdduRecipe, LdduSize
from train.part import Chance, Part, Span


def _one_of(fold: tuple[int, int]) -> tuple[int, int]:
    if not 1 <= fold[0] <= fold[1] or fold[1] < 2:
        raise ValueError("a fold is one of two or more, such as 1/6")
    return fold


Fold = Annotated[tuple[int, int], AfterValidator(_one_of)]


class RecipeError(CredenceError):
    """A recipe that is missing, not YAML, or says something that no recipe can say."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path, self.problem = path, problem


class Network(Part):
    """The size of a residual network."""

    stem: PositiveInt
    """Channels of the first convolution."""
    widths: tuple[PositiveInt, ...] = Field(min_length=1)
    """Channels of each block."""
    strides: tuple[PositiveInt, ...]
    """By how much each block shrinks its input."""
    dropout: Chance = 0.0

    @model_validator(mode="after")
    def _one_stride_a_block(self) -> "Network":
        if len(self.strides) != len(self.widths):
            raise ValueError(f"{len(self.widths)} widths need as many strides")
        return self


class TextNetworkSize(Part):
    """The size of a network of words."""

    width: int = Field(ge=2, multiple_of=2)
    """Numbers for each of the 32,768 buckets; even, since two are stored in a byte."""
    channels: PositiveInt
    """Of the convolutions over three words."""
    layers: PositiveInt
    hidden: PositiveInt
    dropout: Chance = 0.0
    """Before the last layers; a third of it in the convolutions."""


class Optimise(Part):
    """How the weights are found: AdamW, a linear warm-up, then a cosine to zero."""

    epochs: PositiveInt
    batch: int = Field(ge=2)
    """At least 2, since batches are normalised."""
    rate: PositiveFloat
    """The highest learning rate."""
    warmup: Chance = 0.1
    """The share of all steps in which the rate rises."""
    decay: NonNegativeFloat = 0.0
    smoothing: Chance = 0.0
    """The share of every target that is spread over all classes."""
    balance: Chance = 0.0
    """0 counts every sample alike, 1 counts every class alike."""
    mixup: NonNegativeFloat = 0.0
    """Both parameters of the beta distribution that pairs are mixed by; 0 mixes none."""
    average: Chance = 0.0
    """The exported weights are a running mean with this memory; 0 takes the last ones."""
    precision: Literal["float32", "bfloat16"] = "float32"


class CalibratedHead(Part):
    """Cross-entropy; evidence follows from probabilities calibrated on held-out people (ours)."""

    kind: Literal["calibrated"] = "calibrated"
    trust: NonNegativeFloat = 0.0
    """β of Trusted CE (ours): 1 - u, here the highest probability, learns to be right as often."""


class EdlHead(Part):
    """Evidential deep learning (Sensoy et al. 2018): the network gives the evidence itself."""

    kind: Literal["edl"]
    evidence: Literal["softplus", "exp"] = "softplus"
    """What makes evidence of logits."""
    anneal: Chance = 0.3
    """The share of all steps in which the weight of the divergence rises from 0 to 1."""
    trust: NonNegativeFloat = 0.0
    """β of Trusted CE (ours): 1 - u learns to be right as often."""


Head = Annotated[CalibratedHead | EdlHead, Field(discriminator="kind")]


class FaceAugment(Part):
    """What a training face may look like beside itself."""

    flip: Chance = 0.0
    shift_px: NonNegativeFloat = 0.0
    scale: Annotated[float, Field(ge=0, lt=1)] = 0.0
    turn_deg: NonNegativeFloat = 0.0
    light: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """How far gamma and contrast may lie from 1."""
    occlude: Chance = 0.0
    occlude_share: Span = (0.02, 0.14)
    """Between which shares of the face are hidden."""
    blur: Chance = 0.0
    blur_px: Span = (0.4, 1.4)
    """Between which deviations."""
    jpeg: Chance = 0.0
    jpeg_quality: Span = (5.0, 60.0)
    small: Chance = 0.0
    small_px: Span = (10.0, 40.0)
    """Between which widths the face was seen in."""
    dark: Chance = 0.0
    dark_share: Span = (0.05, 0.5)
    """Between which shares of the light are left."""


class VoiceAugment(Part):
    """What a training voice may sound like beside itself."""

    crop: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """The largest share of a take that is cut off."""
    speed: Annotated[float, Field(ge=0, lt=1)] = 0.0
    pitch: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """How far the frequency axis may be stretched, as another throat would."""
    noise: Chance = 0.0
    noise_db: Span = (0.0, 30.0)
    """Between which signal-to-noise ratios."""
    reverb: Chance = 0.0
    reverb_s: Span = (0.2, 1.5)
    """Between which reverberation times RT60."""
    band: Chance = 0.0
    """How often it comes by telephone, sampled at 8 kHz."""
    colour: NonNegativeFloat = 0.0
    """Deviation of a random filter, in nepers per mel band."""
    masks: int = Field(default=0, ge=0)
    mask_frames: int = Field(default=30, ge=1, le=300)
    mask_mels: int = Field(default=8, ge=1, le=64)


class TextAugment(Part):
    """What a training text may say beside itself."""

    drop: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """The share of its words that are left out."""
    misspell: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """The share of its words of which one letter is another."""
    mishear: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """The largest rate of its words that are misheard."""
    unmark: Chance = 0.0
    """How often it loses `!`, `?`, smileys and emoji."""
    pieces: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """The share of the words' pieces that are left out."""


class _Recipe(Part):
    name: str
    data: tuple[str, ...] = Field(min_length=1)
    """Names of corpora, or CSV tables below the data folder."""
    licence: str
    """Of the engine, which follows from its data."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    fold: Fold | None = None
    """k of n: all people but the k-th of n groups train, whatever part they are in."""
    head: Head = CalibratedHead()
    optimise: Optimise


class FaceRecipe(_Recipe):
    """How a face engine is made."""

    kind: Literal["face"]
    network: Network
    augment: FaceAugment = FaceAugment()


class VoiceRecipe(_Recipe):
    """How a voice engine is made."""

    kind: Literal["voice"]
    network: Network
    augment: VoiceAugment = VoiceAugment()


class TextRecipe(_Recipe):
    """How a text engine is made."""

    kind: Literal["text"]
    network: TextNetworkSize
    augment: TextAugment = TextAugment()
    lesson: Path | None = None
    """What a teacher wrote down, by `python -m train.distil`; without it, the data's own labels."""

    @model_validator(mode="after")
    def _words_do_not_blend(self) -> "TextRecipe":
        if self.optimise.mixup:
            raise ValueError("words cannot be blended; leave optimise.mixup out")
        return self

    @model_validator(mode="after")
    def _a_lesson_holds_nobody_out(self) -> "TextRecipe":
        if self.lesson and self.fold:
            raise ValueError("a lesson is of all that trains; leave out either fold or lesson")
        return self


Recipe = FaceRecipe | VoiceRecipe | TextRecipe
AnyRecipe = Recipe | LdduRecipe
_adapter: TypeAdapter[AnyRecipe] = TypeAdapter(Annotated[AnyRecipe, Field(discriminator="kind")])
_PARTS = (
    *(FaceRecipe, VoiceRecipe, TextRecipe),
    *(Network, TextNetworkSize, Optimise),
    *(CalibratedHead, EdlHead),
    *(FaceAugment, VoiceAugment, TextAugment),
    *(LdduRecipe, LdduSize, LdduLoss, LdduOptimise),
)


def read_recipe(path: Path) -> Recipe:
    """Read the recipe of an engine of opinions; raise RecipeError as `read_any` does."""
    return _of_opinions(read_any(path), path)


def parse_recipe(content: object, path: Path) -> Recipe:
    """Validate what the recipe file of an engine of opinions holds."""
    return _of_opinions(parse_any(content, path), path)


def read_any(path: Path) -> AnyRecipe:
    """Read a recipe; raise RecipeError with the nearest known key where one is unknown."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RecipeError(path, "no such recipe; train/recipes/ holds those of Credence") from error
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise RecipeError(path, f"is no YAML that can be read ({_one_line(error)})") from error
    return parse_any(content, path)


def parse_any(content: object, path: Path) -> AnyRecipe:
    """Validate what a recipe file holds; ``path`` is only named in the error."""
    try:
        return _adapter.validate_python(content)
    except ValidationError as error:
        # A key that nobody knows may be why another one is missing, so it comes first.
        first = min(error.errors(), key=lambda fault: fault["type"] != "extra_forbidden")
        where = ".".join(str(part) for part in first["loc"][1:]) or "the recipe"
        if first["type"] == "extra_forbidden":
            raise RecipeError(path, f"unknown key {where}{_nearest(where)}") from error
        raise RecipeError(path, f"{where}: {first['msg'].lower()}") from error


def of_fold(recipe: AnyRecipe, fold: str) -> Recipe:
    """Return a recipe that holds out fold `K/N`; raise RecipeError where there is none."""
    recipe = _of_opinions(recipe, Path(recipe.name))
    try:
        one, folds = map(int, fold.split("/"))
    except ValueError as error:
        raise RecipeError(Path(recipe.name), f"{fold!r} is no fold; use one such as 1/6") from error
    asked = recipe.model_dump() | {"fold": (one, folds)}
    return parse_recipe(asked, Path(recipe.name))


def _of_opinions(recipe: AnyRecipe, path: Path) -> Recipe:
    if isinstance(recipe, LdduRecipe):
        raise RecipeError(path, "kind lddu gives no opinions; name one of face, voice or text")
    return recipe


def _nearest(where: str) -> str:
    known = {key for part in _PARTS for key in part.model_fields}
    close = difflib.get_close_matches(where.rpartition(".")[2], sorted(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
