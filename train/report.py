"""An evaluation's folder: `evaluation.json` and three pictures."""

import json
from pathlib import Path
from typing import Any

from engines.errors import CredenceError
from train.figures import Decisions
from train.pictures import confusion_matrix, reliability_diagram, risk_coverage_curve


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
    """Write the summary, the reliability diagram, the risk-coverage curve, and the confusions."""
    right, sure = decisions.correct, decisions.confidence
    try:
        text = json.dumps(summary, indent=2)
        (folder / "evaluation.json").write_text(text + "\n", encoding="utf-8")
        reliability_diagram(folder / "reliability.png", right, sure)
        risk_coverage_curve(folder / "risk-coverage.png", right, sure)
        confusion_matrix(folder / "confusion.png", decisions.truth, decisions.guess)
    except OSError as error:
        raise ReportError(folder, error.strerror or str(error)) from error
