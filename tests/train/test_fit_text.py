# ruff: noqa: E402, imports follow the skip
"""From texts to an engine, with a network of a few thousand weights."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score

torch = pytest.importorskip("torch", reason="training needs credence[train]")
pytest.importorskip("onnxscript", reason="export needs credence[train]")
pytest.importorskip("torch._dynamo")  # seconds to load, so not while a test's clock runs
torch.set_num_threads(1)

from engines.engine import open_engine
from engines.labels import EMOTIONS
from engines.preprocess import text
from engines.runtime import ENCODED
from engines.verify import verify
from engines.window import TextWindow
from train.evaluate import decide, evaluate
from train.export import export
from train.fit import fit
from train.models import build
from train.models.packed import pack
from train.recipe import Recipe, RecipeError, parse_recipe, read_recipe
from train.run import read_run

# The fixture trains and exports once; torch's exporter alone needs seconds to find its operators.
pytestmark = pytest.mark.timeout(30, func_only=True)

RECIPES = Path(__file__).parents[2] / "train" / "recipes"
WORDS = ("furious", "gross", "scared", "glad", "table", "lonely", "wow")


def recipe(**optimise: object) -> Recipe:
    content = {
        "kind": "text",
        "name": "tiny",
        "data": ["texts.csv"],
        "licence": "CC0-1.0",
        "network": {"width": 4, "channels": 8, "layers": 1, "hidden": 8, "dropout": 0.1},
        "augment": {"drop": 0.1, "misspell": 0.1, "unmark": 0.5},
        "optimise": {"epochs": 12, "batch": 8, "rate": 0.03, "average": 0.9, **optimise},
    }
    return parse_recipe(content, Path("tiny.yaml"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with `texts.csv`: 140 sentences, in which one word is the emotion."""
    folder = tmp_path_factory.mktemp("texts")
    rest = ("it is so", "well, they are", "and then we were", "what?")
    lines = [
        f'"{rest[i % 4]} {WORDS[i % 7]}{"!" * (i % 3)}",{EMOTIONS[i % 7]},{i // 7}'
        for i in range(140)
    ]
    (folder / "texts.csv").write_text("\n".join(["text,label,group", *lines]) + "\n")
    return folder


@pytest.fixture(scope="module")
def run(data: Path) -> Path:
    fit(recipe(), data, data / "run", device="cpu")
    return data / "run"


@pytest.fixture(scope="module")
def bundle(run: Path) -> Path:
    export(run, run.parent / "bundle")
    return run.parent / "bundle"


def test_fit_learns(run: Path) -> None:
    assert (read_run(run)[1].metrics["texts.csv"]["accuracy"] or 0) >= 0.9


def test_bundle_opens_and_repeats_its_reference(bundle: Path) -> None:
    engine = open_engine(bundle)
    assert verify(engine).largest_difference < 1e-4
    assert engine.manifest.kind == "text"
    assert engine.manifest.input.shape == (None, text.WORDS * text.PIECES)
    card = (bundle / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "CC0-1.0" in card
    assert "commercial" not in card


def test_bundle_judges_text_of_any_length(bundle: Path) -> None:
    engine = open_engine(bundle)
    for said in ("", "?", "glad", "glad " * 300, "喜び", "\ud800"):
        opinion = engine.judge(TextWindow(0.0, 1.0, said))
        assert np.isfinite(opinion.belief).all()
        assert 0 < opinion.uncertainty <= 1


def test_program_and_onnx_take_batches_of_any_size(bundle: Path) -> None:
    engine = open_engine(bundle)
    program = torch.export.load(bundle / "program.pt2").module()
    with np.load(bundle / "reference.npz") as reference:
        inputs = reference["inputs"]
    for rows in (inputs[:1], inputs[:3]):
        made = engine.runtime(rows)
        there = program(torch.from_numpy(rows))
        assert len(there) == len(made)
        for name, expected in zip(ENCODED, there, strict=False):
            np.testing.assert_allclose(made[name], expected.detach().numpy(), rtol=1e-3, atol=1e-3)


def test_training_and_running_sum_the_same_pieces() -> None:
    content = {
        **recipe().model_dump(),
        "network": {"width": 4, "channels": 8, "layers": 1, "hidden": 8},
    }
    network = build(parse_recipe(content, Path("tiny.yaml")))
    batch = torch.from_numpy(text.buckets(text.words("they were glad, weren't they?")))
    with torch.inference_mode():
        for trained, run in zip(network.train()(batch), network.eval()(batch), strict=True):
            torch.testing.assert_close(trained, run)


def test_evaluate_equals_scikit_learn(bundle: Path, data: Path) -> None:
    engine = open_engine(bundle)
    lines = ["so glad,anger", "table,neutral", "wow,surprise", "lonely,joy", "scared,fear"]
    (data / "some.csv").write_text("\n".join(["text,label", *lines]) + "\n")
    truth = [EMOTIONS.index(e) for e in ("anger", "neutral", "surprise", "happiness", "fear")]
    guess = [decide(engine, line.split(",")[0]) for line in lines]
    found = evaluate([bundle], data / "some.csv").figures
    assert found["macro_f1"] == pytest.approx(f1_score(truth, guess, average="macro"))
    assert found["weighted_f1"] == pytest.approx(f1_score(truth, guess, average="weighted"))


def test_evaluate_loads_no_torch(bundle: Path, data: Path) -> None:
    code = (
        "import sys; from train.cli import main; sys.argv = ['credence-train', 'evaluate', "
        f"{str(bundle)!r}, '--data', {str(data / 'texts.csv')!r}, '--json']; sys.modules['torch'] "
        "= None; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=RECIPES
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["n"] == 140


def test_recipe_refuses_to_blend_words() -> None:
    with pytest.raises(RecipeError, match="words cannot be blended"):
        recipe(mixup=0.2)


def test_shipped_network_fits_twice_into_8_mb() -> None:
    network = build(read_recipe(RECIPES / "text.yaml"))
    pack(network)
    assert 2 * sum(weight.nbytes for weight in network.state_dict().values()) < 7.5e6
