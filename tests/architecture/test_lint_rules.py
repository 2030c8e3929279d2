"""The linter's configuration keeps the rules that the house stands on."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.architecture.source_tree import ROOT, modules

RUFF = Path(sys.executable).parent / "ruff"
CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]

# Files with a reason to silence a house rule, and the reason.
MAY_SILENCE: dict[str, str] = {}

BREACHES = {
    "T201": "print(1)\n",
    "BLE001": "try:\n    pass\nexcept Exception:\n    pass\n",
    "E722": "try:\n    pass\nexcept:\n    pass\n",
    "D103": "def public():\n    return 1\n",
    "ARG001": "def _private(unused):\n    return 1\n",
    "B006": "def _private(items=[]):\n    return items\n",
    "PTH123": "open('file').close()\n",
}


@pytest.mark.parametrize("package", ["parable", "components/mix", "pipelines", "services"])
@pytest.mark.parametrize("rule", BREACHES)
def test_ruff_refuses(rule: str, package: str) -> None:
    command = [str(RUFF), "check", "--no-cache", "--output-format", "json", "--stdin-filename"]
    result = subprocess.run(
        [*command, str(ROOT / package / "example.py"), "-"],
        input=BREACHES[rule],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert rule in {one["code"] for one in json.loads(result.stdout)}, result.stderr


def test_mypy_is_strict_and_knows_pydantic() -> None:
    assert CONFIG["mypy"]["strict"] is True
    assert "pydantic.mypy" in CONFIG["mypy"]["plugins"]


def test_warnings_are_errors() -> None:
    assert CONFIG["pytest"]["ini_options"]["filterwarnings"][0] == "error"


def test_no_file_silences_print_or_blind_except() -> None:
    silencers = [
        f"{module.file}:{number}"
        for module in modules().values()
        if module.file.as_posix() not in MAY_SILENCE
        for number, line in enumerate((ROOT / module.file).read_text(encoding="utf-8").splitlines(), start=1)
        if "noqa" in line and any(rule in line for rule in ("T20", "BLE", "E722"))
    ]
    assert silencers == []
