"""Pages that are made from the code say what the code says."""

from pathlib import Path

from docs import make

DOCS = Path(__file__).parents[1] / "docs"


def test_pages_are_current() -> None:
    for name, text in make.pages().items():
        assert (DOCS / name).read_text(encoding="utf-8") == text, f"run scripts/docs: {name}"


def test_configuration_says_what_every_key_means() -> None:
    assert "|  |" not in make.configuration(), "a field has no docstring"
