"""Pointers to what arms are made of: written, read, and passed over where they are damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from parable.artifact import Artifact
from parable.runs import ArmPointer, read_pointers
from parable.store import LocalStore

TRUNK, BRANCH = Artifact("segments", "0123"), Artifact("segments", "4567")
POINTER = ArmPointer(
    recipe="quickstart", arm="plain", seed=2, segments=(TRUNK, BRANCH), mixture=Artifact("mixtures", "89ab")
)


def test_a_pointer_rests_under_its_arm_and_is_read_again(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.put(POINTER.key, POINTER.to_bytes())
    store.put("runs/quickstart/run.json", b"{}")
    assert POINTER.key == "runs/quickstart/plain/seed-2.json"
    assert POINTER.to_bytes() == (
        b'{\n  "mixture": "mixtures/89ab",\n'
        b'  "segments": [\n    "segments/0123",\n    "segments/4567"\n  ]\n}\n'
    )
    ((found, seconds),) = read_pointers(store).items()
    stated = store.stat(POINTER.key)
    assert stated is not None
    assert (found, seconds) == (POINTER, stated.modified_seconds)


@pytest.mark.parametrize(
    ("key", "plain"),
    [
        ("runs/r/a/seed-0.json", []),
        ("runs/r/a/seed-0.json", {}),
        ("runs/r/a/seed-0.json", {"segments": []}),
        ("runs/r/a/seed-0.json", {"segments": ["nonsense"]}),
        ("runs/r/a/seed-0.json", {"segments": 3}),
        ("runs/r/a/seed-0.json", {"segments": ["segments/0"], "mixture": "nonsense"}),
        ("runs/r/a/seed-00.json", {"segments": ["segments/0"]}),
        ("runs/r/a/other.json", {"segments": ["segments/0"]}),
        ("runs/a/seed-0.json", {"segments": ["segments/0"]}),
    ],
)
def test_what_is_no_pointer_is_passed_over(tmp_path: Path, key: str, plain: object) -> None:
    with pytest.raises(ValueError, match="is no pointer of an arm"):
        ArmPointer.parse(key, plain)
    store = LocalStore(tmp_path)
    store.put(key, b"{")
    assert read_pointers(store) == {}
