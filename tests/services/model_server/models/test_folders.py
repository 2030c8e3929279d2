"""Nothing is used that is not, byte for byte, what was sealed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from parable.process import own_name, pid_space
from parable.store import LocalStore
from services.model_server.models.base import NoRoomError
from services.model_server.models.checkpoint import Checkpoint
from services.model_server.models.finding import Finder
from services.model_server.models.folders import CheckpointRefusedError, ModelFolders
from tests.services.model_server.support import damage, model_files, seal

FOLDER_BYTES = sum(map(len, model_files().values()))


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def checkpoint(store: LocalStore, **changes: bytes | None) -> Checkpoint:
    """A sealed checkpoint with some of its files changed (`a__b` for a.b) or, with None, left out."""
    files: dict[str, bytes] = dict(model_files())
    for name, data in changes.items():
        files.pop(name.replace("__", "."), None)
        if data is not None:
            files[name.replace("__", ".")] = data
    artifact = seal(store, files)
    return Finder(store).find().find(artifact.key).checkpoint


def fetch(folders: ModelFolders, wanted: Checkpoint, *in_use: Checkpoint) -> Path:
    return folders.fetch(wanted, in_use=lambda: {one.content for one in in_use})


def test_a_copy_has_the_sealed_files_and_stays(store: LocalStore, place: Path) -> None:
    folders, wanted = ModelFolders(store, place, limit_bytes=10**9), checkpoint(store)
    assert folders.find(wanted) is None
    folder = fetch(folders, wanted)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == model_files()
    for path in wanted.files:
        store.delete(f"{wanted.artifact.key}/model/{path}")
    assert fetch(folders, wanted) == folders.find(wanted) == folder
    folders.remove()
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("path", sorted(model_files()))
def test_a_damaged_file_is_refused_and_leaves_nothing(store: LocalStore, place: Path, path: str) -> None:
    folders, wanted = ModelFolders(store, place, limit_bytes=10**9), checkpoint(store)
    damage(store, wanted.artifact, f"model/{path}")
    with pytest.raises(
        CheckpointRefusedError, match=f"{wanted.pinned} is refused: its {path} is not what was"
    ):
        fetch(folders, wanted)
    assert [one for one in place.rglob("*") if one.is_file()] == []


def test_a_missing_file_is_refused(store: LocalStore, place: Path) -> None:
    wanted = checkpoint(store)
    store.delete(f"{wanted.artifact.key}/model/model.safetensors")
    with pytest.raises(CheckpointRefusedError, match=r"its model\.safetensors is missing"):
        fetch(ModelFolders(store, place, limit_bytes=10**9), wanted)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"pytorch_model__bin": b"x"}, r"its pytorch_model\.bin is a pickle and could run code"),
        ({"training__pt": b"x"}, r"its training\.pt is a pickle"),
        ({"model__safetensors": None}, r"it has no \*\.safetensors"),
        ({"tokenizer__json": None}, r"it has no tokenizer\.json"),
    ],
)
def test_what_is_no_safe_model_is_refused_unread(
    store: LocalStore, place: Path, changes: dict[str, bytes | None], reason: str
) -> None:
    wanted = checkpoint(store, **changes)
    with pytest.raises(CheckpointRefusedError, match=reason):
        fetch(ModelFolders(store, place, limit_bytes=10**9), wanted)
    assert list(place.rglob("arriving*")) == []


def test_the_oldest_copy_that_nobody_uses_makes_room(store: LocalStore, place: Path) -> None:
    folders = ModelFolders(store, place, limit_bytes=2 * FOLDER_BYTES + 100)
    one, two, three, four = (checkpoint(store, generation_config__json=b" " * n) for n in range(4))
    fetch(folders, one)
    fetch(folders, two)
    fetch(folders, one)
    fetch(folders, three)
    assert [folders.find(other) is not None for other in (one, two, three)] == [True, False, True]
    fetch(folders, four, one)
    assert [folders.find(other) is not None for other in (one, three, four)] == [True, False, True]
    with pytest.raises(NoRoomError, match="the cache may hold"):
        fetch(folders, two, one, four)


@pytest.mark.parametrize(
    ("name", "stays"),
    [
        (lambda: f"models-{own_name()}-00", True),
        (lambda: f"models-{pid_space()}-4194304-1-00", False),
        (lambda: "models-elsewhere0000-1-1-00", True),
        (lambda: "something", True),
    ],
)
def test_what_killed_servers_left_is_removed(
    store: LocalStore, place: Path, name: Callable[[], str], stays: bool
) -> None:
    left = place / name()
    left.mkdir(parents=True)
    ModelFolders(store, place, limit_bytes=1)
    assert left.exists() is stays
