"""The command answers at once: nothing heavy is imported before a stage needs it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from tests.architecture.source_tree import ROOT

HEAVY = {"torch", "ray", "transformers", "kfp", "pyarrow", "numpy"}
PARABLE = Path(sys.executable).parent / "parable"
_HELP_BUDGET_SECONDS = 0.5


def test_the_command_imports_nothing_heavy() -> None:
    show = "import sys, pipelines.command; print(*{name.partition('.')[0] for name in sys.modules})"
    result = subprocess.run(
        [sys.executable, "-c", show], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert HEAVY.intersection(result.stdout.split()) == set()


def test_help_answers_at_once() -> None:
    assert min(_help_seconds() for _ in range(5)) < _HELP_BUDGET_SECONDS


def _help_seconds() -> float:
    start = time.perf_counter()
    subprocess.run(
        [PARABLE, "--help"],
        cwd=ROOT,
        env=os.environ | {"NO_COLOR": "1"},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - start
