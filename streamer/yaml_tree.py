"""YAML as a tree of nodes that know where they were written, and `KEY=VALUE` over it."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from yaml.composer import ComposerError
from yaml.constructor import SafeConstructor
from yaml.error import Mark
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.reader import ReaderError
from yaml.resolver import Resolver

NULL = "tag:yaml.org,2002:null"
TEXT = "tag:yaml.org,2002:str"
SEQUENCE = "tag:yaml.org,2002:seq"
_PLAIN = {NULL, *(f"tag:yaml.org,2002:{kind}" for kind in ("bool", "int", "float"))}


class MalformedError(ValueError):
    """The file or text is no YAML that we read. `line` counts from 1; None: nothing was read."""

    def __init__(self, line: int | None, problem: str) -> None:
        super().__init__(problem)
        self.line = line


class _Loader(yaml.SafeLoader):
    """YAML without tags, anchors, merges and dates; all of them surprise in a password."""

    yaml_implicit_resolvers = {  # noqa: RUF012 (the base class declares it)
        first: [(tag, pattern) for tag, pattern in known if tag in _PLAIN]
        for first, known in Resolver.yaml_implicit_resolvers.items()
    }

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if event.anchor is not None or getattr(event, "tag", None) is not None:
            problem = "quote text that begins with & * or ! (anchors and tags are not read)"
            raise ComposerError(None, None, problem, event.start_mark)
        return super().compose_node(parent, index)


def parse_file(path: Path) -> Node | None:
    """Read the document in a file; None when it is empty. Marks of its nodes hold its name."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise MalformedError(line, "not UTF-8 text") from None
    except FileNotFoundError:
        raise MalformedError(None, "there is no such file; check its name and folder") from None
    except IsADirectoryError:
        raise MalformedError(None, "this is a folder; name a YAML file in it") from None
    except (OSError, ValueError) as error:
        raise MalformedError(None, getattr(error, "strerror", "") or "cannot be read") from None
    return parse(text, str(path))


def parse(text: str, origin: str) -> Node | None:
    """Read one document; None when it is empty. Marks of its nodes hold `origin`."""
    line = 0
    try:
        loader = _Loader(text)
        loader.name = origin
        try:
            return loader.get_single_node()
        finally:
            line = loader.line
    except yaml.MarkedYAMLError as error:
        mark, problem = _fault(error, loader)
        line = mark.line if mark else line
    except ReaderError as error:
        line, problem = text.count("\n", 0, error.position), "it holds a control character"
    except RecursionError:
        problem = "it is nested too deeply"
    except (ValueError, OverflowError):
        problem = "it holds an impossible escape"
    raise MalformedError(line + 1, f"not valid YAML: {problem}")


def scalar(node: Node) -> str | int | float | bool | None:
    """Return the value of a node; what only looks like a number is text."""
    try:
        value: str | int | float | bool | None = SafeConstructor().construct_object(node)
    except ValueError:
        return str(node.value)
    return value


def nothing(origin: str) -> ScalarNode:
    """Return what stands behind a key without a value."""
    mark = Mark(origin, 0, 0, 0, "", 0)
    return ScalarNode(NULL, "", mark, mark)


def mapping(start: Mark) -> MappingNode:
    """Return a mapping of no keys."""
    return MappingNode("tag:yaml.org,2002:map", [], start, start)


def is_empty(node: Node | None) -> bool:
    """Whether a key has nothing behind it."""
    return node is None or node.tag == NULL


def put(tree: Node | None, key: Sequence[str], value: Node) -> Node:
    """Return `tree` with `value` at `key`; lists and mappings on the way are made."""
    if not key:
        return value
    part, rest = key[0], key[1:]
    index = int(part) if re.fullmatch(r"[0-9]{1,4}", part) else None
    if tree is None or is_empty(tree):
        mark = value.start_mark
        tree = mapping(mark) if index is None else SequenceNode(SEQUENCE, [], mark, mark)
    if isinstance(tree, SequenceNode):
        if index is None or index > len(tree.value):
            raise ValueError(f"elements of a list are named by number, here 0 to {len(tree.value)}")
        old = tree.value[index] if index < len(tree.value) else None
        tree.value[index : index + 1] = [put(old, rest, value)]
    elif isinstance(tree, MappingNode):
        for at, (name, old) in enumerate(tree.value):
            if name.value == part:
                tree.value[at] = (name, put(old, rest, value))
                return tree
        name = ScalarNode(TEXT, part, value.start_mark, value.end_mark)
        tree.value.append((name, put(None, rest, value)))
    else:
        raise ValueError("what it belongs to is a single value")  # noqa: TRY004 (the user's fault)
    return tree


def with_variables(text: str) -> str:
    """Replace `${NAME}` and `${NAME:-default}` from the environment."""

    def replace(found: re.Match[str]) -> str:
        name, default = found.groups()
        value = os.environ.get(name or "")
        if value or (value is not None and default is None):
            return value
        if default is not None:
            return str(default)
        if name is None:
            raise ValueError("has a ${ that no variable's name and } follow")
        raise ValueError(f"takes {name} from the environment, where it is not set")

    text = re.sub(r"\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\})?", replace, text)
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise ValueError("must be text that UTF-8 can hold")
    return text


def _fault(error: yaml.MarkedYAMLError, loader: Any) -> tuple[Mark | None, str]:
    """Return where a text goes wrong, which is where it opens what it does not close, and how."""
    problem = _without_quotations(error.problem or "")
    if "'\\t'" in problem:
        problem += "; indent with spaces"
    opened = error.context_mark if error.context == "while scanning a quoted scalar" else None
    if loader.flow_level and loader.marks and not isinstance(error, ComposerError):
        opened = loader.marks[-1]
    if opened:
        return opened, f"what is opened here is not closed, or lacks a comma ({problem})"
    return error.problem_mark or error.context_mark, problem


def _without_quotations(problem: str) -> str:
    # PyYAML quotes the text, which may be a password; its token names and signs stay.
    keep = re.compile(r"'(<[a-z ]+>|\\?.)'")
    return re.sub(
        r"""(['"]).+?\1""",
        lambda quoted: quoted[0] if keep.fullmatch(quoted[0]) else "something",
        problem,
    )
