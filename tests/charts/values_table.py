"""The table of values in the chart's README, made of the comments in values.yaml.

`python -m tests.charts.values_table` writes it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from tests.charts.chart import CHART

README = CHART / "README.md"
VALUES = CHART / "values.yaml"
_BLOCK = re.compile(r"(?<=<!-- values -->\n).*(?=<!-- /values -->)", re.S)
_KEY = re.compile(r"( *)([A-Za-z]\w*):(?: |$)")
# Groups whose keys are Kubernetes' own, or that hold a default which is a map: one value each.
_WHOLE = frozenset({"modelServer.resources", "modelServer.dashboard.labels"})


class Value(NamedTuple):
    """One row: a dotted name, its default, and its comment."""

    name: str
    default: Any
    meaning: str

    @property
    def row(self) -> str:
        """As a line of the table; a group, whose default is `...`, has none."""
        default = "" if self.default is ... else f"`{json.dumps(self.default)}`"
        return f"| `{self.name}` | {default} | {self.meaning} |"


def read_values(text: str) -> list[Value]:
    """Every value that a person may set, in order; a group with a comment stands before its values."""
    comments = dict(_comments(text))
    values = [Value(name, default, comments.get(name, "")) for name, default in _nodes(yaml.safe_load(text))]
    return [one for one in values if one.default is not ... or one.meaning]


def readme_with_table(text: str) -> str:
    """The README with its table made anew."""
    rows = [one.row for one in read_values(VALUES.read_text(encoding="utf-8"))]
    table = "\n".join(["", "| Value | Default | Meaning |", "| --- | --- | --- |", *rows, "", ""])
    found, count = _BLOCK.subn(lambda _: table, text)
    assert count == 1, "the README has no place for the table"
    return found


def _nodes(node: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        name = f"{path}{key}"
        if isinstance(value, dict) and value and name not in _WHOLE:
            yield name, ...
            yield from _nodes(value, f"{name}.")
        else:
            yield name, value


def _comments(text: str) -> Iterator[tuple[str, str]]:
    """Dotted names with the comment right above each; an empty line parts a comment from what follows."""
    above: list[str] = []
    path: list[tuple[int, str]] = []
    for line in text.splitlines():
        if line.strip().startswith("#"):
            above.append(line.strip().removeprefix("#").strip())
            continue
        if found := _KEY.match(line):
            indent = len(found[1])
            path = [(depth, key) for depth, key in path if depth < indent] + [(indent, found[2])]
            yield ".".join(key for _, key in path), " ".join(above)
        above = []


if __name__ == "__main__":
    README.write_text(readme_with_table(README.read_text(encoding="utf-8")), encoding="utf-8")
