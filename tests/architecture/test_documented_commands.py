"""Commands in the documents exist: make targets, `parable` subcommands with options, and files."""

from __future__ import annotations

import itertools
import os
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.architecture.source_tree import ROOT

PARABLE = Path(sys.executable).parent / "parable"
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = frozenset(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.M))
_BLOCK = re.compile(r"^```(?:bash|sh|shell|console)\n(.*?)^```", re.M | re.S)
_ASSIGNMENT = re.compile(r"^[A-Z_]+=")


class Command(NamedTuple):
    """One command line of a document's shell block."""

    document: Path
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.document}: {' '.join(self.words)}"


def commands_in(document: Path, text: str) -> list[Command]:
    """The simple commands in the shell blocks of a document, comments and prompts taken off."""
    found = []
    for block in _BLOCK.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            lexer = shlex.shlex(line.removeprefix("$ "), posix=True, punctuation_chars=";|&")
            lexer.whitespace_split = True
            for operator, group in itertools.groupby(lexer, key=lambda word: word[0] in ";|&"):
                words = () if operator else tuple(itertools.dropwhile(_ASSIGNMENT.match, group))
                if words:
                    found.append(Command(document, words))
    return found


def _documents() -> list[Path]:
    folders = [ROOT, *(ROOT / name for name in ("docs", "components", "pipelines", "services"))]
    here = [file for folder in folders[:1] for file in folder.glob("*.md")]
    return sorted(here + [file for folder in folders[1:] for file in folder.rglob("*.md")])


COMMANDS = [
    command
    for file in _documents()
    for command in commands_in(file.relative_to(ROOT), file.read_text(encoding="utf-8"))
]


@pytest.mark.parametrize("command", [one for one in COMMANDS if one.words[0] == "make"], ids=str)
def test_make_targets_exist(command: Command) -> None:
    asked = {word for word in command.words[1:] if not re.match(r"[A-Z_]+=|-", word)}
    assert asked <= TARGETS


@pytest.mark.parametrize(
    "command", [one for one in COMMANDS if Path(one.words[0]).name == "parable"], ids=str
)
def test_parable_subcommands_options_and_recipes_exist(command: Command) -> None:
    names = [word for word in command.words[1:] if re.fullmatch(r"[a-z][a-z-]*", word)][:1]
    text = _help(*names)
    options = {word.partition("=")[0] for word in command.words if word.startswith("--")}
    assert options <= {*re.findall(r"--[a-z][a-z-]*", text), "--help"}
    recipes = [word for word in command.words if re.fullmatch(r"recipes/\S+\.yaml", word)]
    assert [name for name in recipes if not (ROOT / name).exists()] == []


def test_every_public_target_is_in_the_help() -> None:
    described = set(re.findall(r"^([a-z-]+):.*## \S", MAKEFILE, re.M))
    assert described == TARGETS


def test_commands_are_found_in_blocks() -> None:
    text = "```bash\nA=1 make run X=2  # go\n$ parable run \\\n  'a;b' && make test\n```\n"
    found = [one.words for one in commands_in(Path("x"), text)]
    assert found == [("make", "run", "X=2"), ("parable", "run", "a;b"), ("make", "test")]


@cache
def _help(*names: str) -> str:
    result = subprocess.run(
        [PARABLE, *names, "--help"],
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout
