"""From a recipe's text to plain data, with the place where every key was written."""

import json
import re
from typing import Any

import yaml

from parable.errors import UserError

MAX_KEYS = 100_000
MAX_DEPTH = 50
Key = tuple[str | int, ...]
Places = dict[Key, str]
"""Where a key was given: `line 12`, or `--set`."""


class _Loader(yaml.SafeLoader):
    """YAML with the plain words and numbers of its version 1.2.

    Version 1.1, which PyYAML reads, takes `no` for false, `1:30` for 90, `017` for 15 and `1e3` for text.
    """

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 (as in PyYAML)


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(0|[1-9][0-9_]*)", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9][0-9_]*\.[0-9_]*)([eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("float", r"[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+", "-+0123456789"),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+."),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("merge", r"<<", "<"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), list(_first))


def read(data: bytes, name: str) -> tuple[Any, Places]:
    """Plain data and the line of every key.

    Raises:
        UserError: the text is not YAML, or gives a key twice, which YAML itself would swallow.
    """
    plain = _read_json(data)
    if plain is not None:
        return plain, {}
    try:
        loader = _Loader(data)
        root = loader.get_single_node()
        places = {} if root is None else _places(root, name)
        return (None if root is None else loader.construct_document(root)), places
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        said = [getattr(error, part, None) for part in ("context", "problem", "reason")]
        problem = ", ".join(part for part in said if part)
        raise UserError(f"{name}{where} is not YAML: {problem}. Mend the text there.") from error
    except RecursionError as error:
        raise UserError(f"{name} is not a recipe: its brackets are nested too deeply. Close them.") from error


def read_value(text: str) -> Any:
    """One value as YAML has it; raises `ValueError` where it is none."""
    try:
        return yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"{text!r} is not a YAML value") from error


def dotted(key: Key) -> str:
    """A key as people write it: `training.phases[0].share`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in key).removeprefix(".")


def _read_json(data: bytes) -> Any:
    """What JSON without repeated keys holds, else None: a recipe travels to a stage as JSON.

    YAML would read nearly all of it alike, but folds some rare characters in texts.
    """
    if not data.lstrip().startswith(b"{"):
        return None
    try:
        return json.loads(data, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        return None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is given twice")
    return found


def _places(root: yaml.Node, name: str) -> Places:
    found: Places = {}
    todo: list[tuple[Key, yaml.Node]] = [((), root)]
    while todo:
        key, node = todo.pop()
        if len(found) > MAX_KEYS or len(key) > MAX_DEPTH:
            raise UserError(
                f"{name} is not a recipe: it holds more than {MAX_KEYS:,} keys or {MAX_DEPTH} levels. "
                "Look for an alias (*name) that leads back to itself."
            )
        for inner, line, value in _children(key, node):
            if inner in found:
                raise UserError(f"{name}, line {line}: {dotted(inner)} is given twice. Keep one of them.")
            found[inner] = f"line {line}"
            todo.append((inner, value))
    return found


def _children(key: Key, node: yaml.Node) -> list[tuple[Key, int, yaml.Node]]:
    if isinstance(node, yaml.MappingNode):
        return [
            ((*key, str(inner.value)), inner.start_mark.line + 1, value)
            for inner, value in node.value
            if inner.tag != "tag:yaml.org,2002:merge"
        ]
    if isinstance(node, yaml.SequenceNode):
        return [((*key, n), value.start_mark.line + 1, value) for n, value in enumerate(node.value)]
    return []
