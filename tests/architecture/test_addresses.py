"""The tree names no one's home folder and no package registry: it works wherever it is cloned."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.architecture.source_tree import ROOT

FORBIDDEN = {
    "a home folder": re.compile(r"(?<![\w.$}])/(?:(?:home|Users)/[A-Za-z]|root/)|\b[A-Z]:\\Users\\"),
    "a package registry": re.compile(
        r"\b(?:(?:test\.)?pypi\.org|files\.pythonhosted\.org|registry\.npmjs\.org"
        r"|(?:static\.)?crates\.io|proxy\.golang\.org|repo1?\.maven\.(?:apache\.)?org"
        r"|(?:deb|ftp)\.debian\.org|download\.pytorch\.org)\b"
    ),
}


def test_no_file_names_a_place_of_its_makers() -> None:
    found = [
        f"{file}:{number}: {what}"
        for file in _tracked_files()
        for number, line in enumerate(_text(file).splitlines(), start=1)
        for what, pattern in FORBIDDEN.items()
        if pattern.search(line)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("cache = '/" + "home/ann/.cache'", "a home folder"),
        ("cd /" + "root/project", "a home folder"),
        ("see /" + "Users/ann", "a home folder"),
        ("--index-url https://" + "pypi" + ".org/simple", "a package registry"),
    ],
)
def test_the_patterns_find_their_breach(line: str, what: str) -> None:
    assert FORBIDDEN[what].search(line)


@pytest.mark.parametrize("line", ["$HOME/.cache", "~/.cache", "GET /homepage", "a/home/b", "/rooted"])
def test_the_patterns_leave_the_rest_alone(line: str) -> None:
    assert not any(pattern.search(line) for pattern in FORBIDDEN.values())


def _tracked_files() -> list[Path]:
    """What a commit holds or would hold."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listing.returncode != 0:
        pytest.skip("not a git checkout")
    names = filter(None, listing.stdout.split("\0"))
    return [Path(name) for name in names if (ROOT / name).is_file()]


def _text(file: Path) -> str:
    data = (ROOT / file).read_bytes()
    return "" if b"\0" in data[:1024] else data.decode("utf-8", errors="replace")
