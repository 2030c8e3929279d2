"""`builtin:python`: the interpreter's own documentation, read from its source files without importing any.

Docstrings of the standard library's modules, classes and functions, the topics of `help()`, and the few text
files beside them: real technical English, on every machine that has a Python.
"""

import ast
import os
import re
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path

from components.filter.sources.files import LocalFile
from components.filter.sources.passages import paragraphs, passages

LICENSE = "PSF-2.0"
PASSAGE_WORDS = 40
"""Short enough for rows of a toy model, and long enough to be about something."""

_TOPICS = "pydoc_data/topics.py"
_LEFT_OUT = {
    "__pycache__", "dist-packages", "distutils", "encodings", "ensurepip", "idle_test", "idlelib",
    "lib2to3", "site-packages", "test", "tests", "turtledemo",
}  # fmt: skip
"""Tests, tables, bundled packages, and what later versions of Python no longer have."""
_MACHINE = ("config-", "_sysconfigdata")
"""What was written when this interpreter was built."""
_DEFINITIONS = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_RULE = re.compile(r"[^\w\s]{3,}")
_BLOCKS = ("body", "orelse", "handlers", "finalbody")


def python_files() -> tuple[LocalFile, ...]:
    """The standard library's sources and texts, by name."""
    root = Path(sysconfig.get_path("stdlib"))
    found = []
    for parent, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in _LEFT_OUT and not name.startswith(_MACHINE)]
        for name in names:
            if name.endswith((".py", ".txt", ".rst")) and not name.startswith(_MACHINE):
                path = Path(parent, name)
                found.append(LocalFile(path.relative_to(root).as_posix(), path))
    return tuple(sorted(found, key=lambda file: file.name))


def read_python(path: Path, name: str) -> Iterator[str]:
    """The passages of one file of `python_files`."""
    text = path.read_bytes().decode("utf-8", "replace")
    if name == _TOPICS:
        texts = _topics(text)
    elif name.endswith(".py"):
        texts = _docstrings(text)
    else:
        texts = iter([text])
    for one in texts:
        yield from passages(_prose(one), PASSAGE_WORDS, glue=" ")


def _parse(text: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        return ast.parse(text)


def _docstrings(text: str) -> Iterator[str]:
    if '"""' not in text and "'''" not in text:
        return
    todo: list[ast.AST] = [_parse(text)]
    while todo:
        node = todo.pop()
        if isinstance(node, (ast.Module, *_DEFINITIONS)) and (found := ast.get_docstring(node)):
            yield found
        inner = [statement for block in _BLOCKS for statement in getattr(node, block, ())]
        todo += reversed(inner)


def _topics(text: str) -> Iterator[str]:
    for node in _parse(text).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            yield from ast.literal_eval(node.value).values()


def _prose(text: str) -> Iterator[str]:
    """Paragraphs on one line each, without interpreter sessions and ruled lines."""
    for paragraph in paragraphs(text.splitlines(keepends=True)):
        lines = [line.strip() for line in paragraph.splitlines()]
        if not lines[0].startswith(">>>"):
            kept = [line for line in lines if not _RULE.fullmatch(line)]
            if joined := " ".join(" ".join(kept).split()):
                yield joined
