"""What the server takes for itself where nobody has told it."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from services.model_server import build

GIB = 2**30
MACHINE = int(psutil.virtual_memory().total)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, MACHINE),
        ({"memory.max": "max\n"}, MACHINE),
        ({"memory.max": f"{GIB}\n"}, GIB),
        ({"memory.max": f"{2**50}\n"}, MACHINE),
        ({"memory/memory.limit_in_bytes": f"{GIB}\n"}, GIB),
        ({"memory/memory.limit_in_bytes": "9223372036854771712\n"}, MACHINE),
    ],
)
def test_the_containers_memory_limit_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], expected: int
) -> None:
    """In version 2 of control groups, then 1."""
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(build, "CGROUP_FOLDER", tmp_path)
    assert build.machine_bytes() == expected
