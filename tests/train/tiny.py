"""The recipe of a network of a few thousand weights."""

from pathlib import Path

from train.recipe import Recipe, parse_recipe


def recipe(**changes: object) -> Recipe:
    """Return the recipe that learns the pictures of the fixture `tiny`."""
    content: dict[str, object] = {
        "kind": "face",
        "name": "tiny",
        "data": ["faces.csv"],
        "licence": "CC0-1.0",
        "network": {"stem": 4, "widths": [8, 16], "strides": [2, 2], "dropout": 0.1},
        "augment": {"shift_px": 2, "light": 0.1},
        "optimise": {"epochs": 8, "batch": 8, "rate": 0.01, "mixup": 0.1, "average": 0.9},
    }
    return parse_recipe({**content, **changes}, Path("tiny.yaml"))
