"""Imports run one way: services, pipelines -> components -> parable."""

from __future__ import annotations

import fnmatch
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.architecture.source_tree import Import, Module, cycles, modules, read_modules

# What each package may import of the others.
MAY_IMPORT = {
    "parable": frozenset({"parable"}),
    "components": frozenset({"parable", "components"}),
    "pipelines": frozenset({"parable", "components", "pipelines"}),
    "services": frozenset({"parable", "components", "services"}),
}

# The modules under parable/ and components/ whose whole purpose is one of these frameworks.
FRAMEWORKS = {
    "kfp": ("components/*/component.py",),
    "ray": ("components/pretrain/launcher.py", "components/pretrain/worker.py"),
    "fastapi": (),
    "kubernetes": (),
}


def test_imports_run_one_way() -> None:
    assert _listed(_against_the_direction(_all_imports())) == []


def test_a_component_meets_another_only_through_its_face() -> None:
    assert _listed(_past_the_face(_all_imports())) == []


def test_components_form_no_circle() -> None:
    graph: dict[str, set[str]] = defaultdict(set)
    for one in _all_imports():
        here, there = _component(".".join(one.file.parts)), _component(one.target)
        if here and there and here != there:
            graph[here].add(there)
    assert cycles(graph) == []


def test_modules_form_no_circle() -> None:
    assert cycles(_module_graph(modules())) == []


def test_frameworks_stay_in_the_modules_made_for_them() -> None:
    assert _listed(_stray_frameworks(_all_imports())) == []


@pytest.mark.parametrize(
    ("file", "source", "finder"),
    [
        ("parable/a.py", "import components.mix", "direction"),
        ("components/mix/a.py", "def f():\n    from pipelines import command", "direction"),
        ("pipelines/a.py", "from services.model_server import app", "direction"),
        ("services/a.py", "import importlib\nimportlib.import_module('pipelines.x')", "direction"),
        ("components/mix/a.py", "from components.filter.rules import Rule", "face"),
        ("components/mix/a.py", "from components.filter import rules", "face"),
        ("components/mix/a.py", "from ..filter.rules import Rule", "face"),
        ("components/mix/a.py", "def f():\n    import kfp.dsl", "framework"),
        ("components/pretrain/loop.py", "from ray import train", "framework"),
        ("parable/a.py", "__import__('kubernetes.client')", "framework"),
    ],
)
def test_each_rule_finds_its_breach(tmp_path: Path, file: str, source: str, finder: str) -> None:
    for path, text in {"components/filter/rules.py": "", file: source}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    imports = [one for module in read_modules(tmp_path).values() for one in module.imports]
    find = {
        "direction": _against_the_direction,
        "face": _past_the_face,
        "framework": _stray_frameworks,
    }[finder]
    assert len(list(find(imports))) == 1


def test_a_circle_is_found() -> None:
    assert cycles({"a": ["b"], "b": ["c"], "c": ["b"]}) == [["b", "c", "b"]]
    assert cycles({"a": ["b", "c"], "b": ["c"], "c": []}) == []


@pytest.mark.parametrize(
    ("here", "there", "is_circle"),
    [
        ("import parable.b", "import parable.a", True),
        ("def f():\n    import parable.b", "import parable.a", True),
        ("if TYPE_CHECKING:\n    import parable.b", "import parable.a", False),
    ],
)
def test_only_types_may_look_back(tmp_path: Path, here: str, there: str, is_circle: bool) -> None:
    (tmp_path / "parable").mkdir()
    (tmp_path / "parable" / "a.py").write_text(here)
    (tmp_path / "parable" / "b.py").write_text(there)
    assert bool(cycles(_module_graph(read_modules(tmp_path)))) is is_circle


def _all_imports() -> list[Import]:
    return [one for module in modules().values() for one in module.imports]


def _module_graph(known: Mapping[str, Module]) -> dict[str, set[str]]:
    """Who needs whom.

    An import that a function defers still counts, save in a face: that one opens its rooms late so
    that a product which exists is found before anything heavy is loaded.
    """
    return {
        name: {
            one.target
            for one in module.imports
            if one.target in known
            and one.target != name
            and not one.for_types_only
            and not (one.deferred and module.file.name == "__init__.py")
        }
        for name, module in known.items()
    }


def _listed(found: Iterator[Import]) -> list[str]:
    return sorted(map(str, found))


def _against_the_direction(imports: list[Import]) -> Iterator[Import]:
    for one in imports:
        there = one.target.partition(".")[0]
        if there in MAY_IMPORT and there not in MAY_IMPORT[one.file.parts[0]]:
            yield one


def _past_the_face(imports: list[Import]) -> Iterator[Import]:
    for one in imports:
        here, there = _component(".".join(one.file.parts)), _component(one.target)
        if here and there and here != there and one.target != f"components.{there}":
            yield one


def _stray_frameworks(imports: list[Import]) -> Iterator[Import]:
    for one in imports:
        allowed = FRAMEWORKS.get(one.target.partition(".")[0])
        if allowed is None or one.file.parts[0] not in ("parable", "components"):
            continue
        if not any(fnmatch.fnmatch(one.file.as_posix(), pattern) for pattern in allowed):
            yield one


def _component(dotted: str) -> str | None:
    """The stage that a module belongs to; `components` itself belongs to none."""
    package, _, rest = dotted.partition(".")
    stage = rest.partition(".")[0]
    return stage if package == "components" and stage not in ("", "__init__", "py") else None
