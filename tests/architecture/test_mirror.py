"""Tests mirror the tree: components/mix/order.py has tests/components/mix/test_order.py."""

from __future__ import annotations

import fnmatch
from pathlib import Path

from tests.architecture.source_tree import ROOT, modules

# Modules without a test file of their own, by pattern, each with the place that tests them.
TESTED_ELSEWHERE: dict[str, str] = {
    "components/*/component.py": "tests/pipelines runs the components themselves under kfp.local",
}


def test_every_module_of_a_component_has_its_test_file() -> None:
    untested = [
        f"{file} has no {_mirror(file)}"
        for file in _component_files()
        if not (ROOT / _mirror(file)).exists() and not _excused(file)
    ]
    assert untested == []


def test_every_folder_of_tests_stands_for_one_of_the_tree() -> None:
    folders = {file.parent for file in (ROOT / "tests" / "components").rglob("test_*.py")}
    here = [folder.relative_to(ROOT / "tests") for folder in sorted(folders)]
    assert [str(folder) for folder in here if not (ROOT / folder).is_dir()] == []


def _component_files() -> list[Path]:
    return [
        module.file
        for module in modules().values()
        if module.file.parts[0] == "components" and module.file.name != "__init__.py"
    ]


def _mirror(file: Path) -> Path:
    return Path("tests", *file.parent.parts, f"test_{file.name}")


def _excused(file: Path) -> bool:
    return any(fnmatch.fnmatch(file.as_posix(), pattern) for pattern in TESTED_ELSEWHERE)
