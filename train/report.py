"""An evaluation's folder: `evaluation.json` and, where matplotlib is installed, three pictures."""

import json
import sys
from pathlib import Path
from typing import Any

from engines.errors import CredenceError
from train.figures import Decisions


class ReportError(CredenceError):
    """A report that cannot be written."""

    def __init__(self, folder: Path, problem: str) -> None:
        super().__init__(f"{folder}: the report cannot be written ({problem})")
        self.folder, self.problem = folder, problem


def make_folder(folder: Path) -> None:
    """Make the folder of a report, so that a wrong one is known before the work."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ReportError(folder, error.strerror or str(error)) from error


def write_report(folder: Path, decisions: Decisions, summary: dict[str, Any]) -> None:
    """Write the summary, the reliability diagram, the risk-coverage curve, and the confusions.

    Without matplotlib, the summary alone; standard error says so.
    """
    try:
        text = json.dumps(summary, indent=2)
        (folder / "evaluation.json").write_text(text + "\n", encoding="utf-8")
        _draw(folder, decisions)
    except OSError as error:
        raise ReportError(folder, error.strerror or str(error)) from error


def _draw(folder: Path, decisions: Decisions) -> None:
    try:
        from train import pictures  # noqa: PLC0415 - only with credence[train]
    except ModuleNotFoundError as error:
        print(f"credence-train: no pictures are drawn without {error.name}", file=sys.stderr)
        return
    right, sure = decisions.correct, decisions.confidence
    pictures.reliability_diagram(folder / "reliability.png", right, sure)
    pictures.risk_coverage_curve(folder / "risk-coverage.png", right, sure)
    pictures.confusion_matrix(folder / "confusion.png", decisions.truth, decisions.guess)
