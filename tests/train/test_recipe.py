from pathlib import Path

import pytest
import yaml

from train.data.sequences import READERS
from train.recipe import RecipeError, read_any, read_recipe

RECIPES = Path(__file__).parents[2] / "train" / "recipes"


@pytest.mark.parametrize("kind", ["face", "voice"])
def test_shipped_recipes_are_valid_and_fit_one_screen(kind: str) -> None:
    path = RECIPES / f"{kind}.yaml"
    assert read_recipe(path).kind == kind
    assert len(path.read_text().splitlines()) <= 45


@pytest.mark.parametrize("name", ["multilabel", "mosei", "m3ed"])
def test_shipped_recipes_of_several_emotions_are_valid(name: str) -> None:
    how = read_any(RECIPES / f"{name}.yaml")
    assert how.kind == "lddu"
    assert how.corpus in READERS
    with pytest.raises(RecipeError, match="gives no opinions"):
        read_recipe(RECIPES / f"{name}.yaml")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"epocs": 3}, "unknown key epocs; did you mean epochs"),
        ({"optimise": {"epochs": 1, "batch": 2, "rate": 1, "rat": 1}}, r"optimise\.rat"),
        ({"kind": "smell"}, "kind|face"),
        ({"network": {"stem": 4, "widths": [4, 4], "strides": [1]}}, "2 widths need as many"),
        ({"data": []}, "data"),
        ({"seed": "one"}, "seed"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**63}, "seed"),
        ({"optimise": {"epochs": 1, "batch": 1, "rate": 1}}, r"optimise\.batch"),
        ({"optimise": {"epochs": 1, "batch": 2, "rate": float("inf")}}, r"optimise\.rate"),
        ({"head": {"kind": "edl", "aneal": 0.1}}, r"unknown key head\..*did you mean anneal"),
        ({"head": {"kind": "softmax"}}, "head"),
        ({"head": {"kind": "calibrated", "trust": -1}}, "trust"),
        ({"augment": {"flip": 2}}, r"augment\.flip"),
        ({"augment": {"small_px": [40, 10]}}, "first of the two must not be above"),
    ],
)
def test_read_recipe_refuses_in_a_sentence(
    tmp_path: Path, change: dict[str, object], sentence: str
) -> None:
    content = yaml.safe_load((RECIPES / "face.yaml").read_text())
    (tmp_path / "r.yaml").write_text(yaml.safe_dump({**content, **change}))
    with pytest.raises(RecipeError, match=sentence):
        read_recipe(tmp_path / "r.yaml")


@pytest.mark.parametrize("text", ["", "a: [", "- 1", "kind: face\n", "[" * 9999, "a: 2026-99-99"])
def test_read_recipe_refuses_what_is_no_recipe(tmp_path: Path, text: str) -> None:
    (tmp_path / "r.yaml").write_text(text)
    with pytest.raises(RecipeError, match=r"r\.yaml"):
        read_recipe(tmp_path / "r.yaml")


def test_read_recipe_refuses_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no such recipe"):
        read_recipe(tmp_path / "none.yaml")
