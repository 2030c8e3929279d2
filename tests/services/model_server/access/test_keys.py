"""Keys from a file that changes while the server runs."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from parable.errors import UserError
from services.model_server.access.keys import LOOK_SECONDS, KeyRing, read_keys
from services.model_server.access.scopes import Caller, Scope

ALICE = {"name": "alice", "scopes": ["infer"], "key": "alice-has-a-long-key"}
CI = {
    "name": "ci",
    "scopes": ["infer", "evaluate"],
    "sha256": hashlib.sha256(b"ci-has-a-long-key").hexdigest(),
}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def _ring(path: Path, *entries: object) -> tuple[KeyRing, Clock]:
    path.write_text(json.dumps(entries))
    clock = Clock()
    return KeyRing(path, clock), clock


def test_a_key_is_written_out_or_by_its_hash(tmp_path: Path) -> None:
    ring, _ = _ring(tmp_path / "keys", ALICE, CI)
    assert ring.caller("alice-has-a-long-key") == Caller("alice", frozenset({Scope.INFER}))
    assert ring.caller("ci-has-a-long-key") == Caller("ci", frozenset({Scope.INFER, Scope.EVALUATE}))
    for wrong in ("", "alice-has-a-long-ke", "alice-has-a-long-key ", CI["sha256"], "\ud800"):
        assert ring.caller(str(wrong)) is None


def test_yaml_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "keys.yaml"
    path.write_text("- name: alice\n  scopes: [infer]\n  key: alice-has-a-long-key\n")
    assert KeyRing(path).caller("alice-has-a-long-key") == Caller("alice", frozenset({Scope.INFER}))


def test_an_old_key_is_refused_within_a_second_of_the_new_file(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    ring, clock = _ring(path, ALICE)
    path.write_text(json.dumps([{**ALICE, "key": "alice-has-a-newer-key"}]))
    clock.now += LOOK_SECONDS
    assert LOOK_SECONDS < 1
    assert ring.caller("alice-has-a-long-key") is None
    assert ring.caller("alice-has-a-newer-key") == Caller("alice", frozenset({Scope.INFER}))


def test_a_mounted_secret_is_a_link_that_moves(tmp_path: Path) -> None:
    for number, key in enumerate(("the-first-long-key", "the-second-long-key")):
        (tmp_path / f"data-{number}").mkdir()
        (tmp_path / f"data-{number}" / "keys").write_text(json.dumps([{**ALICE, "key": key}]))
    link = tmp_path / "now"
    link.symlink_to("data-0")
    clock = Clock()
    ring = KeyRing(link / "keys", clock)
    (tmp_path / "next").symlink_to("data-1")
    (tmp_path / "next").rename(link)
    clock.now += LOOK_SECONDS
    assert ring.caller("the-first-long-key") is None
    assert ring.caller("the-second-long-key") is not None


def test_while_keys_overlap_both_are_the_same_owner_s(tmp_path: Path) -> None:
    ring, _ = _ring(tmp_path / "keys", ALICE, {**ALICE, "key": "alice-has-a-newer-key"})
    assert ring.caller("alice-has-a-long-key") == ring.caller("alice-has-a-newer-key")


def test_a_file_that_changes_while_it_is_first_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "keys"
    read = Path.read_bytes

    def read_and_replace(self: Path) -> bytes:
        found = read(self)
        path.write_text(json.dumps([{**ALICE, "key": "alice-has-a-newer-key"}]))
        return found

    monkeypatch.setattr(Path, "read_bytes", read_and_replace)
    ring, clock = _ring(path, ALICE)
    clock.now += LOOK_SECONDS
    assert ring.caller("alice-has-a-newer-key") == Caller("alice", frozenset({Scope.INFER}))


@pytest.mark.parametrize("content", [None, "", "- name: [", "[]", "- name: 2024-13-45"])
def test_a_broken_file_changes_nothing(
    tmp_path: Path, content: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "keys"
    ring, clock = _ring(path, ALICE)
    path.unlink()
    if content is not None:
        path.write_text(content)
    clock.now += LOOK_SECONDS
    assert ring.caller("alice-has-a-long-key") is not None
    assert "the keys stay as they were" in caplog.text


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        ([], "holds no key"),
        ("text", "wrong at the file"),
        ([{**ALICE, "key": "short"}], "0.key"),
        ([{**ALICE, "key": "alice-has-a-long-key\n"}], "0.key"),
        ([{**ALICE, "key": "älice-has-a-long-key"}], "0.key"),
        ([{**ALICE, "scopes": []}], "0.scopes"),
        ([{**ALICE, "scopes": ["root"]}], "0.scopes"),
        ([{**ALICE, "sha256": "0" * 64}], "either key or sha256"),
        ([{"name": "a", "scopes": ["infer"]}], "either key or sha256"),
        ([{**ALICE, "expires": "never"}], "0.expires"),
    ],
)
def test_a_wrong_file_is_refused_without_telling_a_key(tmp_path: Path, entries: object, told: str) -> None:
    path = tmp_path / "keys"
    path.write_text(json.dumps(entries))
    with pytest.raises(UserError, match=told) as caught:
        read_keys(path)
    assert "alice-has-a-long-key" not in str(caught.value)
    assert "short'" not in str(caught.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="can't be read"):
        KeyRing(tmp_path / "no")
