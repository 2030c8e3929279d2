"""The command answers at once: nothing heavy is imported before a stage needs it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.architecture.source_tree import ROOT

HEAVY = {"torch", "ray", "transformers", "kfp", "pyarrow", "numpy"}
PARABLE = Path(sys.executable).parent / "parable"


def test_the_command_imports_nothing_heavy() -> None:
    show = "import sys, pipelines.command; print(*{name.partition('.')[0] for name in sys.modules})"
    result = subprocess.run(
        [sys.executable, "-c", show], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert HEAVY.intersection(result.stdout.split()) == set()


def test_help_answers_at_once() -> None:
    """Sooner than that of a command that does nothing, as its library makes it: on any machine."""
    nothing = [sys.executable, "-c", "import typer; typer.run(lambda: None)", "--help"]
    pairs = [(_seconds([PARABLE, "--help"]), _seconds(nothing)) for _ in range(5)]
    assert min(ours for ours, _ in pairs) < min(plain for _, plain in pairs)


def _seconds(command: Sequence[str | Path]) -> float:
    start = time.perf_counter()
    subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"NO_COLOR": "1"},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - start
