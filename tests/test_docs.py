"""Pages that are made from the code say what the code says."""

import json
import re
from pathlib import Path

import pytest
from pydantic import BaseModel, TypeAdapter

from docs import make
from engines.engine import BUNDLES
from engines.labels import EMOTIONS
from engines.quality import MEASURES
from engines.verdict import open_policy, read_off
from streamer.event import EmotionEvent, SeveralEmotions
from streamer.explanation import ExplanationEvent
from streamer.history import COLUMNS
from streamer.metrics import Metrics
from streamer.narrator import RESULTS
from streamer.stats import NodeInfo, NodeStats

DOCS = Path(__file__).parents[1] / "docs"


def test_pages_are_current() -> None:
    for name, text in make.pages().items():
        assert (DOCS / name).read_text(encoding="utf-8") == text, f"run scripts/docs: {name}"


def test_configuration_says_what_every_key_means() -> None:
    assert "|  |" not in make.configuration(), "a field has no docstring"


def test_example_event_is_one() -> None:
    text = (DOCS / "events.md").read_text(encoding="utf-8")
    example = text.partition("```json\n")[2].partition("```")[0]
    data = EmotionEvent.model_validate_json(example).data
    policy = open_policy(BUNDLES / "policy", {})
    assert data.policy == policy.hash, "show an event of the shipped engines"
    best = max(data.belief.values()) + data.uncertainty / len(EMOTIONS)
    present = "+".join(sorted(kind for kind, o in data.opinions.items() if o.present))
    assert data.confidence == pytest.approx(read_off(policy.calibration[present], best), abs=1e-6)
    assert data.threshold == policy.thresholds[present]


def test_example_of_several_emotions_is_one() -> None:
    text = (DOCS / "multilabel.md").read_text(encoding="utf-8").partition("## In events")[2]
    example = text.partition("```json\n")[2].partition("```")[0]
    found = TypeAdapter(tuple[SeveralEmotions, ...]).validate_json(example.partition(":")[2])
    assert {each.label for each in found} == set(EMOTIONS)
    assert list(found) == sorted(found, key=lambda each: -each.probability)


def test_events_say_what_every_measure_means() -> None:
    text = (DOCS / "events.md").read_text(encoding="utf-8")
    for measures in MEASURES.values():
        assert all(f"| `{name}` |" in text for name in measures)


def test_operations_say_what_every_metric_means() -> None:
    metrics = Metrics(["door"])
    metrics.follow(lambda: True, lambda: 0, lambda: {"size": 0})
    metrics.follow_store(lambda: {"size": 0})
    metrics.engine.labels("face")
    metrics.follow_engines(lambda: {"multilabel": 0})
    metrics.follow_model(lambda: {("door", "accepted"): 0})
    counted = {
        _counted(sample.name): tuple(sorted(sample.labels.keys() - {"le"}))
        for sample in metrics.reading().samples
        if sample.name.startswith("credence_")
    }
    text = (DOCS / "operations.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(credence_\w+)` \|(.*?)\|", text, re.MULTILINE)
    assert {name: tuple(sorted(re.findall(r"`(\w+)`", row))) for name, row in rows} == counted


def test_operations_say_what_every_column_means() -> None:
    text = (DOCS / "operations.md").read_text(encoding="utf-8").partition("| Column of CSV |")[2]
    rows = re.findall(r"^\| (`.*?) \|", text.partition("\n\n")[0], re.MULTILINE)
    assert re.findall(r"`(\w+)`", " ".join(rows)) == list(COLUMNS)


def _counted(sample: str) -> str:
    """Return what a sample of a histogram belongs to."""
    return re.sub(r"_seconds_(bucket|count|sum)$", "_seconds", sample)


@pytest.mark.parametrize(("number", "model"), [(0, NodeInfo), (1, NodeStats)])
def test_examples_of_what_a_node_says_are_such(number: int, model: type[BaseModel]) -> None:
    text = (DOCS / "mqtt.md").read_text(encoding="utf-8").partition("## What a node says")[2]
    example = re.findall(r"```json\n(.*?)```", text, re.DOTALL)[number]
    assert json.loads(model.model_validate_json(example).model_dump_json()) == json.loads(example)


def test_example_of_a_later_explanation_is_one() -> None:
    text = (DOCS / "language-models.md").read_text(encoding="utf-8")
    example = text.partition("```json\n")[2].partition("```")[0]
    event = ExplanationEvent.model_validate_json(example)
    assert json.loads(event.model_dump_json()) == json.loads(example)


def test_language_models_say_what_every_result_means() -> None:
    text = (DOCS / "language-models.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \|", text.partition("## What is rejected")[2], re.MULTILINE)
    assert sorted(rows) == sorted(RESULTS)


def test_no_figure_is_missing() -> None:
    for page in (*DOCS.glob("**/*.md"), DOCS.parent / "README.md"):
        assert not re.search(r"\b(TABLE|TODO|[A-Z]+_(TABLE|MIN))\b", page.read_text("utf-8")), page
