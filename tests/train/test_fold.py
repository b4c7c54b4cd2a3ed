from pathlib import Path

import numpy as np
import pytest

from train.data.samples import fold_of
from train.prepare import read_part
from train.recipe import RecipeError, of_fold, read_recipe

# Without its lesson, which knows everyone.
RECIPE = read_recipe(Path("train/recipes/text.yaml")).model_copy(update={"lesson": None})
PEOPLE = [who for who in ("a", "b", "c", "d", "e", "f", "g") for _ in range(3)]
FAMILY = [("train", "ann"), ("train", "bob"), ("train", "cleo"), ("valid", "dan"), ("valid", "eve")]


def test_a_fold_holds_whole_people_in_even_runs() -> None:
    fold = fold_of(PEOPLE, 3)
    assert sorted({(who, int(k)) for who, k in zip(PEOPLE, fold, strict=True)}) == [
        *(("a", 0), ("b", 0), ("c", 0)),
        *(("d", 1), ("e", 1)),
        *(("f", 2), ("g", 2)),
    ]


def test_nobodys_samples_are_dealt_singly() -> None:
    assert np.bincount(fold_of([""] * 10, 5)).tolist() == [2] * 5


@pytest.mark.parametrize("fold", ["0/6", "7/6", "1/1", "a/b", "3"])
def test_an_impossible_fold_is_refused(fold: str) -> None:
    with pytest.raises(RecipeError, match="fold"):
        of_fold(RECIPE, fold)


def test_folds_hold_out_everyone_once_and_train_on_the_others(tmp_path: Path) -> None:
    rows = [f"{who} says {i},anger,{who},{part}" for part, who in FAMILY for i in range(3)]
    (tmp_path / "t.csv").write_text("\n".join(["text,label,group,split", *rows]), encoding="utf-8")
    held: list[str] = []
    for k in (1, 2, 3):
        recipe = of_fold(RECIPE, f"{k}/3")
        out = read_part(recipe, "t.csv", tmp_path, "valid")
        trained = read_part(recipe, "t.csv", tmp_path, "train")
        assert not set(out.people) & set(trained.people)
        assert len(out.inputs) + len(trained.inputs) == len(rows)
        held += out.paths
    assert len(held) == len(set(held)) == len(rows)
