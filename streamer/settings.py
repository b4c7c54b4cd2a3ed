"""Settings from YAML and `--set`: a validated model, or one sentence per problem."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticCustomError
from yaml.error import Mark
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from engines.errors import CredenceError
from streamer import addresses, yaml_tree

Key = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)

_MAY_HOLD_A_PASSWORD = ("url", "username", "password", "api_key")


class ConfigError(CredenceError):
    """Settings that cannot be used; its text has one line for each problem."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


@dataclass(frozen=True, slots=True)
class PathUnless:
    """Marks text that is a path, unless it is an address or one of `words`."""

    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Clash:
    """Settings that cannot stand together."""

    text: str
    keys: tuple[Key, ...]

    def as_error(self) -> PydanticCustomError:
        """Return what a validator raises."""
        return PydanticCustomError("clash", "{text}", {"text": self.text, "clash": self})


def read(
    model: type[Model],
    path: Path | None,
    overrides: Sequence[str] = (),
    check: Callable[[dict[str, Any]], Iterable[Clash]] = lambda _: (),
) -> Model:
    """Read `path`, then each `KEY=VALUE` over it, into `model`.

    `check` finds clashes that `model` finds only when all else is right.
    """
    draft = _Draft(model, path)
    tree = draft.with_overrides(draft.file(), overrides)
    given: dict[str, Any] = draft.plain(tree)
    for clash in check(given):
        draft.clash(clash)
    try:
        made = model.model_validate(given)
    except ValidationError as error:
        for details in error.errors(include_url=False):
            draft.explain(details)
        made = None
    if made is None or draft.problems:
        raise ConfigError(draft.sentences())
    return made


def describe(field: FieldInfo) -> str:
    """Say what a field takes: `a number greater than 0`."""
    bounds: dict[str, float] = {}
    for mark in field.metadata:
        if isinstance(mark, PathUnless) and mark.words:
            return f"{', '.join(mark.words)} or a path"
        bounds |= {name: getattr(mark, name) for name in ("gt", "ge", "le") if hasattr(mark, name)}
    if get_origin(field.annotation) is tuple:
        return "a list"
    if get_origin(field.annotation) is Literal:
        return " or ".join(get_args(field.annotation))
    if section(field):
        return "a mapping of keys to values"
    kinds = {float: "a number", int: "a whole number", bool: "true or false"}
    kind = kinds.get(field.annotation, "text")  # type: ignore[arg-type]
    match bounds:
        case {"ge": low, "le": high}:
            return f"{kind} from {low} to {high}"
        case {"gt": low}:
            return f"{kind} greater than {low}"
        case {"ge": low}:
            return f"{kind} of at least {low}"
    return kind


def section(field: FieldInfo) -> type[BaseModel] | None:
    """Return the model that a field holds, alone, optional or in a list."""
    for kind in (field.annotation, *get_args(field.annotation)):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
    return None


class _Draft:
    """Settings as they were written, and what is wrong with them."""

    def __init__(self, model: type[BaseModel], path: Path | None) -> None:
        self._model, self._path = model, path
        self._origins = [str(path)]
        self._written: dict[Key, Mark] = {}
        self._nodes: dict[Key, Node] = {}
        self._spoilt: set[Key] = set()
        self.problems: set[tuple[int, int, str]] = set()

    def sentences(self) -> list[str]:
        return [text for _, _, text in sorted(self.problems)]

    def file(self) -> Node:
        """Return the tree of the file; an empty mapping where there is none."""
        nothing = yaml_tree.nothing(self._origins[0])
        try:
            tree = (yaml_tree.parse_file(self._path) if self._path else None) or nothing
        except yaml_tree.MalformedError as error:
            line = "" if error.line is None else f":{error.line}"
            raise ConfigError([f"{self._path}{line}: {error}"]) from None
        if yaml_tree.is_empty(tree):
            return yaml_tree.mapping(tree.start_mark)
        if not isinstance(tree, MappingNode):
            self._problem(tree.start_mark, "the file must hold keys and values, such as `node: a`")
            raise ConfigError(self.sentences())
        return tree

    def with_overrides(self, tree: Node, overrides: Sequence[str]) -> Node:
        """Put each `KEY=VALUE` into the tree of the file."""
        for number, override in enumerate(overrides, 1):
            key, equals, text = override.partition("=")
            if not equals or not re.fullmatch(r"\w+(\.\w+){0,9}", key, re.ASCII):
                # Not repeated: what is no key may be a secret.
                problem = f"--set number {number}: must be KEY=VALUE, such as node=attic"
                self.problems.add((number, 0, problem))
                key, text = "", "{}"
            self._origins.append(origin := f"--set {key}")
            try:
                value = yaml_tree.parse(text, origin) or yaml_tree.nothing(origin)
                tree = yaml_tree.put(tree, key.split("."), value) if key else tree
            except ValueError as error:
                self.problems.add((number, 0, f"{origin}: {error}"))
        return tree

    def plain(self, node: Node, key: Key = ()) -> Any:
        """Return the values under a node, and remember where each was written."""
        self._nodes[key] = node
        if isinstance(node, SequenceNode):
            return [self.plain(item, (*key, at)) for at, item in enumerate(node.value)]
        if isinstance(node, MappingNode):
            return self._mapping(node, key)
        return self._scalar(node, key)

    def _mapping(self, node: MappingNode, key: Key) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, value in node.value:
            at = (*key, str(name.value))
            if not isinstance(name, ScalarNode) or not name.value.isprintable():
                self._problem(name.start_mark, "a key must be plain text")
            elif at in self._written:
                first = self._place(self._written[at], name.start_mark)
                self._problem(name.start_mark, f"{_key_text(at)} is given twice; see also {first}")
            else:
                self._written[at] = name.start_mark
                field = self._field(at)
                # A section whose keys are all commented out has its defaults.
                if not (field and section(field) and yaml_tree.is_empty(value)):
                    values[str(name.value)] = self.plain(value, at)
        return values

    def _scalar(self, node: Node, key: Key) -> Any:
        field = self._field(key)
        if field is None:
            return node.value
        value = yaml_tree.scalar(node)
        if value is None:
            hint = "; quote text that begins with #" if describe(field) == "text" else ""
            self._spoil(key, node, f"has no value{hint}")
        if not isinstance(value, str):
            return value
        try:
            value = yaml_tree.with_variables(value)
        except ValueError as error:
            self._spoil(key, node, str(error))
        marks = [mark for mark in field.metadata if isinstance(mark, PathUnless)]
        if not marks or not value or value in marks[0].words or addresses.is_address(value):
            return value
        return self._from_folder(value, node)

    def _from_folder(self, text: str, node: Node) -> str:
        if self._path is None or node.start_mark.name != str(self._path) or "\0" in text:
            return text
        try:
            return str(self._path.absolute().parent / Path(text).expanduser())
        except RuntimeError:
            return text

    def explain(self, error: ErrorDetails) -> None:
        """Note what the model found wrong."""
        key, context = error["loc"], error.get("ctx", {})
        match error["type"]:
            case "clash":
                self.clash(context["clash"])
            case "extra_forbidden":
                self._problem(self._written[key], self._unknown(key))
            case "missing":
                self._spoil(key, self._node(key), "is missing")
            case "value_error" if text := str(context["error"]):
                self._spoil(key, self._node(key), f"{text}{self._shown(key)}")
            case _:
                field = self._field(key)
                element = isinstance(key[-1], int)
                text = "a mapping of keys to values" if element or not field else describe(field)
                self._spoil(key, self._node(key), f"must be {text}{self._shown(key)}")

    def clash(self, clash: Clash) -> None:
        """Note settings that cannot stand together, at the last of them that is written."""
        nodes = [self._nodes[key] for key in clash.keys if key in self._nodes]
        marks = sorted((node.start_mark for node in nodes), key=self._order)
        others = [self._place(mark, marks[-1]) for mark in marks[:-1]]
        self._problem(marks[-1], "; see also ".join([clash.text, *others]))

    def _unknown(self, key: Key) -> str:
        fields = (found := self._field(key[:-1])) and section(found)
        known = list((fields or self._model).model_fields)
        place = f" in {_dotted(key[:-1])}" if key[:-1] else ""
        close = get_close_matches(str(key[-1]), known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}"
        return f"unknown {_key_text(key[-1:])}{place}; {hint}"

    def _shown(self, key: Key) -> str:
        """Return `, not 'long'`, unless it may hold a secret."""
        node, field = self._nodes.get(key), self._field(key)
        if node is None:
            return ""
        if not isinstance(node, ScalarNode):
            return f", not {'a list' if isinstance(node, SequenceNode) else 'a mapping'}"
        is_text = node.tag == yaml_tree.TEXT
        hint = "; put it in quotes" if field and describe(field) == "text" and not is_text else ""
        secret = key[-1] in _MAY_HOLD_A_PASSWORD or "@" in node.value or "://" in node.value
        if secret or not field or section(field):
            return hint
        short = node.value if len(node.value) <= 40 else f"{node.value[:40]}…"
        return f", not {short!r}{hint}" if is_text else f", not {short}{hint}"

    def _field(self, key: Key) -> FieldInfo | None:
        model: type[BaseModel] | None = self._model
        field = None
        for name in key:
            if isinstance(name, str):
                field = model.model_fields.get(name) if model else None
                model = section(field) if field else None
        return field

    def _node(self, key: Key) -> Node:
        """Return what was written for a key, or around it."""
        while key not in self._nodes:
            key = key[:-1]
        return self._nodes[key]

    def _spoil(self, key: Key, node: Node, text: str) -> None:
        """Note the first thing that is wrong with a value; others follow from it."""
        if key not in self._spoilt:
            self._spoilt.add(key)
            self._problem(node.start_mark, f"{_dotted(key)} {text}")

    def _problem(self, mark: Mark, text: str) -> None:
        origin = f"{mark.name}:{mark.line + 1}" if self._order(mark)[0] == 0 else mark.name
        text = text.removeprefix(f"{mark.name.removeprefix('--set ')} ")
        self.problems.add((*self._order(mark), f"{origin}: {text}"))

    def _place(self, mark: Mark, seen_from: Mark) -> str:
        same = mark.name == seen_from.name or self._order(mark)[0] == 0
        return f"line {mark.line + 1}" if same else mark.name

    def _order(self, mark: Mark) -> tuple[int, int]:
        return self._origins.index(mark.name), mark.line


def _dotted(key: Key) -> str:
    return ".".join(map(str, key))


def _key_text(key: Key) -> str:
    # What is no word may be a value that lost its key, and so a secret.
    words = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]{0,40}", str(key[-1]))
    return f"key {_dotted(key)!r}" if words else "key"
