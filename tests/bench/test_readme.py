"""The tables of speed stand in two documents, and are one."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MEASURED = re.compile(r"^New tokens a second of a mixed load.*?^From start to ready[^\n]*\n", re.M | re.S)


def test_both_say_the_same() -> None:
    (ours,) = MEASURED.findall((ROOT / "bench" / "README.md").read_text(encoding="utf-8"))
    (theirs,) = MEASURED.findall((ROOT / "docs" / "serving.md").read_text(encoding="utf-8"))
    assert ours == theirs
    assert ours.count("\n| ") == 6 + 3 + 2 + 3, "three tables with their heads"


def test_every_test_that_shows_something_is_there() -> None:
    text = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
    tests = ROOT / "tests" / "services" / "model_server"
    clients, _, withstood = text.partition("## What it withstands")
    named = [tests / one for one in re.findall(r"`(\w+/test_\w+\.py)`", clients)]
    named += [tests / "chaos" / one for one in re.findall(r"`(test_\w+\.py)`", withstood)]
    assert len(named) == 6 + 10
    assert [path for path in named if not path.is_file()] == []
