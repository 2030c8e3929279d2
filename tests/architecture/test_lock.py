"""constraints.txt locks everything that pyproject.toml asks for, and its hashes are enforced."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.architecture.source_tree import ROOT

LOCK = (ROOT / "constraints.txt").read_text(encoding="utf-8")
CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
_PIN = re.compile(r"^([a-z0-9.-]+)==(\S+)(?: ; ([^\\]+?))? \\\n((?:    --hash=sha256:.*\n)+)", re.M)


def test_every_line_is_a_pin_with_hashes_and_nothing_else() -> None:
    assert _PIN.sub("", LOCK) == ""


def test_every_requirement_is_locked() -> None:
    pins: dict[str, list[Version]] = {}
    for name, version, _, _ in _PIN.findall(LOCK):
        pins.setdefault(name, []).append(Version(version))
    project = CONFIG["project"]
    asked = [
        *project["dependencies"],
        *(line for extra in project["optional-dependencies"].values() for line in extra),
        *CONFIG["dependency-groups"]["build"],
        *CONFIG["build-system"]["requires"],
    ]
    unmet = [
        str(requirement)
        for requirement in map(Requirement, asked)
        if requirement.name != project["name"]
        and not any(
            requirement.specifier.contains(version)
            for version in pins.get(canonicalize_name(requirement.name), [])
        )
    ]
    assert unmet == [], "run `make lock`"


@pytest.mark.parametrize("local_label", ["", "+cpu"])
def test_a_changed_byte_is_refused(tmp_path: Path, local_label: str) -> None:
    """The reason for the hashes; and why torch from another index is installed before the rest."""
    wheel = _make_wheel(tmp_path, version=f"1.0{local_label}")
    constraints = tmp_path / "constraints.txt"
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    constraints.write_text(f"harmless==1.0 --hash=sha256:{digest}\n")
    assert _install(tmp_path, "first").returncode == 0

    wheel.write_bytes(_make_wheel(tmp_path, f"1.0{local_label}", body="changed = 1\n").read_bytes())
    refused = _install(tmp_path, "second")
    assert refused.returncode != 0
    assert "Hash mismatch" in refused.stderr

    assert _install(tmp_path, "third", locked=False).returncode == 0
    installed_before = _install(tmp_path, "third")
    assert installed_before.returncode == 0, installed_before.stderr


def _make_wheel(folder: Path, version: str, body: str = "") -> Path:
    info = f"harmless-{version}.dist-info"
    wheel = folder / f"harmless-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("harmless.py", body)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: harmless\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return wheel


def _install(folder: Path, target: str, *, locked: bool = True) -> subprocess.CompletedProcess[str]:
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv is None:
        pytest.skip("uv is neither on PATH nor in the environment")
    environment = folder / target
    if not environment.exists():
        subprocess.run([uv, "venv", "-q", "--python", sys.executable, environment], check=True)
    command = [uv, "pip", "install", "--offline", "--no-index", "--find-links", str(folder)]
    command += ["--cache-dir", str(folder / f"cache-{target}")]
    command += ["--python", str(environment / "bin" / "python")]
    command += ["--constraints", str(folder / "constraints.txt")] if locked else []
    return subprocess.run(
        [*command, "harmless==1.0"],
        env={name: value for name, value in os.environ.items() if not name.startswith("UV_")},
        capture_output=True,
        text=True,
        check=False,
    )
