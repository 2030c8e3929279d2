"""The real Helm for the chart: found, never downloaded.

Fixtures:
    helm: `helm(*arguments)` runs it, with no cluster and no settings of the machine's own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Protocol

import pytest

from tests.support.process import IN_CI

MISSING = "no Helm ($PARABLE_HELM, PATH, or the cache): `make helm` builds one"


class Helm(Protocol):
    """Run Helm with arguments; the result has its status and its texts."""

    def __call__(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""


def find_helm() -> Path | None:
    """The Helm to use, or None.

    Raises:
        FileNotFoundError: `$PARABLE_HELM` names something that cannot be run.
    """
    given = os.environ.get("PARABLE_HELM")
    if given:
        if shutil.which(given) is None:
            raise FileNotFoundError(f"PARABLE_HELM={given} is not a program that can be run")
        return Path(given)
    on_path = shutil.which("helm")
    if on_path:
        return Path(on_path)
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    built = Path(cache, "parable", "bin", "helm")
    return built if os.access(built, os.X_OK) else None


def pytest_report_header() -> str:
    """Say which Helm renders the chart, and loudly when none does."""
    return f"helm: {find_helm() or 'WARNING, THE CHART IS NOT TESTED: ' + MISSING}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say it again where it is read: beside the result."""
    if find_helm() is None:
        terminalreporter.write_line(f"WARNING: {MISSING}", red=True)


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Helm with a home of its own, which reaches no cluster."""
    program = find_helm()
    if program is None:
        (pytest.fail if IN_CI else pytest.skip)(MISSING)
    home = tmp_path_factory.mktemp("helm")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("HELM_", "KUBE"))}
    environment = inherited | {
        "HOME": str(home),
        "KUBECONFIG": str(home / "none"),
        **{f"HELM_{kind}_HOME": str(home / kind) for kind in ("CONFIG", "CACHE", "DATA")},
    }

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *map(str, arguments)], env=environment, capture_output=True, text=True, check=False
        )

    return run
