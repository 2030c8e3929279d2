"""Only one of those who change an alias at once succeeds, and everyone sees which."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from parable.store import LocalStore, ObjectStore, open_store
from services.model_server.models import desired
from services.model_server.models.desired import Change, DesiredVersions, OvertakenError, Version
from tests.support.minio_server import MinioServer


@pytest.fixture(params=["folder", "minio"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ObjectStore]:
    if request.param == "folder":
        yield LocalStore(tmp_path)
        return
    server: MinioServer = request.getfixturevalue("minio")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        yield open_store(f"s3://{server.new_bucket()}")


def change(number: int, name: str = "a.b.seed-0@1") -> Change:
    version = Version(pinned="segments.ff@1", name=name)
    return Change(number=number, target=version, previous=None, is_pinned=True, why="reload")


def test_the_change_with_the_highest_number_holds(store: ObjectStore) -> None:
    one, other = DesiredVersions(store), DesiredVersions(store)
    assert one.read() == {}
    one.write("latest", change(1))
    one.write("latest", change(2, "a.b.seed-0@2"))
    one.write("a.b.seed-0", change(1))
    assert other.read() == one.read() == {"latest": change(2, "a.b.seed-0@2"), "a.b.seed-0": change(1)}


def test_the_same_number_is_given_once(store: ObjectStore) -> None:
    one, other = DesiredVersions(store), DesiredVersions(store)
    one.write("latest", change(1))
    with pytest.raises(OvertakenError):
        other.write("latest", change(1, "other"))
    assert other.read() == {"latest": change(1)}


def test_old_changes_go_and_their_numbers_do_not_come_back(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desired, "NUM_KEPT", 3)
    versions = DesiredVersions(store)
    for number in range(1, 6):
        versions.write("latest", change(number))
    assert [info.key[-11:-5] for info in store.list("serving/")] == ["000003", "000004", "000005"]
    with pytest.raises(OvertakenError):
        DesiredVersions(store).write("latest", change(1))
    assert versions.read() == {"latest": change(5)}


def test_what_is_no_change_is_passed_over(store: ObjectStore) -> None:
    store.put("serving/aliases/latest/000001.json", b"{}")
    store.put("serving/aliases/latest/note.txt", b"hello")
    assert DesiredVersions(store).read() == {}
    store.put("serving/aliases/other/000009.json", b"{}")
    with pytest.raises(OvertakenError):  # It is later, whatever it says.
        DesiredVersions(store).write("other", change(1))
