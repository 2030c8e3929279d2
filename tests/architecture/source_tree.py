"""The project's own modules and what each imports, read from the source and never executed."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("parable", "components", "pipelines", "services")


@dataclass(frozen=True)
class Import:
    """One imported name: where, and the module it comes from as far as the tree can tell."""

    file: Path
    line: int
    target: str
    for_types_only: bool
    deferred: bool
    """Whether it stands in a function, and so happens only when that is called."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.target}"


@dataclass(frozen=True)
class Module:
    """A source file, by its dotted name and its path below the root."""

    name: str
    file: Path
    imports: tuple[Import, ...]


@cache
def modules() -> Mapping[str, Module]:
    """Every module of the project by its dotted name."""
    return read_modules(ROOT)


def read_modules(root: Path) -> Mapping[str, Module]:
    """Read the packages under `root`."""
    files = {
        _dotted(file.relative_to(root)): file.relative_to(root)
        for package in PACKAGES
        for file in sorted((root / package).rglob("*.py"))
    }
    return {name: Module(name, file, tuple(_imports(root, file, files))) for name, file in files.items()}


def cycles(graph: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Each circle that a depth-first walk meets, as the names along it, first name repeated."""
    found: list[list[str]] = []
    done: set[str] = set()

    def walk(node: str, path: list[str]) -> None:
        if node in path:
            found.append([*path[path.index(node) :], node])
        elif node not in done:
            for neighbour in sorted(graph.get(node, ())):
                walk(neighbour, [*path, node])
            done.add(node)

    for node in sorted(graph):
        walk(node, [])
    return found


def _dotted(file: Path) -> str:
    parts = file.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(root: Path, file: Path, known: Mapping[str, Path]) -> Iterator[Import]:
    tree = ast.parse((root / file).read_text(encoding="utf-8"), filename=str(file))
    typing_only = _inside(
        statement
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and _is_type_checking(node.test)
        for statement in node.body
    )
    deferred = _inside(
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    )
    package = _dotted(file) if file.name == "__init__.py" else _dotted(file).rpartition(".")[0]
    for node in ast.walk(tree):
        for target in _targets(node, package, known):
            assert isinstance(node, ast.Import | ast.ImportFrom | ast.Call)
            yield Import(file, node.lineno, target, node in typing_only, node in deferred)


def _inside(nodes: Iterable[ast.AST]) -> set[ast.AST]:
    return {inner for node in nodes for inner in ast.walk(node)}


def _targets(node: ast.AST, package: str, known: Mapping[str, Path]) -> Iterator[str]:
    match node:
        case ast.Import(names=names):
            yield from (alias.name for alias in names)
        case ast.ImportFrom(module=module, names=names, level=level):
            above = package.rsplit(".", level - 1)[0] if level else ""
            base = ".".join(filter(None, (above, module)))
            for alias in names:
                # `from a import b` reaches the module a.b where there is one, else the face of a.
                inner = f"{base}.{alias.name}"
                yield inner if inner in known else base
        case ast.Call(
            func=ast.Name(id="__import__" | "import_module") | ast.Attribute(attr="import_module"),
            args=[ast.Constant(value=str(name)), *_],
        ):
            yield name


def _is_type_checking(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )
