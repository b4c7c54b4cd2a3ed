"""Makes the pages of this folder that come from the code: `python -m docs.make`."""

import ast
import inspect
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from docs import asyncapi
from streamer import config, config_outputs
from streamer.event import EmotionEvent
from streamer.explanation import ExplanationEvent
from streamer.settings import describe, section
from streamer.spoken import Spoken
from streamer.stats import NodeInfo, NodeStats

_COMMANDS = {
    "credence": "streamer.cli",
    "credence-engines": "engines.cli",
    "credence-train": "train.cli",
}

_INTRODUCTION = """\
<!-- Made by scripts/docs from streamer/config.py and config_outputs.py; change it there. -->
# Configuration

A configuration is a YAML file, given as `--config FILE`; without one, everything has its default.
`configs/` holds examples, and `credence check FILE` says whether a file can be used. It is read
whole at start: an unknown key, a wrong value or two cameras of one name stop it, with one line per
problem that names the file, the line and the nearest known key.

- **On the command line**, `--set KEY=VALUE` wins over the file: `--set vad.hangover_s=0.8`,
  `--set cameras.0.url=clip.mp4`. The value is YAML.
- **From the environment**, text may take `${NAME}`, or `${NAME:-default}` where the variable may
  be unset or empty. A variable that is not set is refused by name. Keep passwords there.
- **Paths** in a file start from the folder of the file, on the command line from the working
  directory. In a file, `~` is the home folder.
- **Quote text** that begins with `& * ! # @ %` or looks like a number, a truth (`yes`, `off`) or
  a mapping; anchors, aliases, tags and merges are not read. Within `{ }`, quote `"${NAME}"` too.
"""


def pages() -> dict[str, str]:
    """Return every page that is made, by its name in this folder."""
    return {
        "configuration.md": configuration(),
        "asyncapi.yaml": asyncapi.page(),
        "events.schema.json": schema_of(EmotionEvent),
        "explanations.schema.json": schema_of(ExplanationEvent),
        "transcripts.schema.json": schema_of(Spoken),
        "info.schema.json": schema_of(NodeInfo),
        "stats.schema.json": schema_of(NodeStats),
        **{f"cli/{command}.md": usage(command, module) for command, module in _COMMANDS.items()},
    }


def configuration() -> str:
    """Return the page of every setting."""
    meanings = _meanings()
    parts = [_INTRODUCTION, "## Top level", _table(config.Config, meanings)]
    for key, field in config.Config.model_fields.items():
        if model := section(field):
            parts += [f"## `{key}`", _text(model), _table(model, meanings)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def schema_of(model: type[BaseModel]) -> str:
    """Return the JSON Schema of what is on the wire."""
    schema = model.model_json_schema(mode="serialization")
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def usage(command: str, module: str) -> str:
    """Return a command's help as a page."""
    make = [sys.executable, "-m", "typer", module, "utils", "docs", "--name", command]
    made = subprocess.run(make, check=True, capture_output=True, text=True)
    return "<!-- Made by scripts/docs from the command's own help. -->\n" + made.stdout


def _table(model: type[BaseModel], meanings: dict[tuple[str, str], str]) -> str:
    rows = ["| Key | Takes | Default | Meaning |", "| --- | --- | --- | --- |"]
    for key, field in model.model_fields.items():
        nested = section(field)
        meaning = meanings.get((model.__name__, key)) or _text(nested)
        takes = describe(field)
        link = f"[`{key}`](#{key})" if nested else f"`{key}`"
        rows.append(f"| {link} | {takes} | {_default(field)} | {meaning} |")
    return "\n".join(rows)


def _text(model: type[BaseModel] | None) -> str:
    return " ".join((inspect.getdoc(model) or "").split()) if model else ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "must be given"
    value: Any = field.get_default()
    if field.default_factory:
        return "the host name"
    if isinstance(value, BaseModel):
        return "as below"
    return "none" if value in (None, ()) else f"`{value}`"


def _meanings() -> dict[tuple[str, str], str]:
    tree = ast.parse(inspect.getsource(config) + inspect.getsource(config_outputs))
    classes = (node for node in tree.body if isinstance(node, ast.ClassDef))
    return {(one.name, key): text for one in classes for key, text in _docstrings(one)}


def _docstrings(of: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, text in zip(of.body, of.body[1:], strict=False):
        match field, text:
            case (
                ast.AnnAssign(target=ast.Name(id=key)),
                ast.Expr(value=ast.Constant(value=str(written))),
            ):
                yield key, " ".join(written.split())


if __name__ == "__main__":
    for name, text in pages().items():
        path = Path(__file__).parent / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
