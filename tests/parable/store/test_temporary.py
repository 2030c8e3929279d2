import os
import time
from pathlib import Path

import pytest

from parable.process import own_name, pid_space, start_ticks
from parable.store.temporary import arriving, beside, is_left_behind


def test_a_file_arrives_whole(tmp_path: Path) -> None:
    target = tmp_path / "folder" / "file"
    with arriving(target) as temporary:
        temporary.write_bytes(b"new")
        assert not target.exists()
        assert temporary.parent == target.parent
    assert target.read_bytes() == b"new"
    assert list(target.parent.iterdir()) == [target]


def test_a_failed_arrival_changes_nothing(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"old")
    with pytest.raises(RuntimeError), arriving(target) as temporary:
        temporary.write_bytes(b"half")
        raise RuntimeError
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_every_name_is_new(tmp_path: Path) -> None:
    target = tmp_path / ("x" * 200)
    assert len({beside(target) for _ in range(100)}) == 100
    assert len(beside(target).name) < 100


@pytest.mark.parametrize(
    ("owner", "left"),
    [
        (own_name(), False),
        (f"{pid_space()}-{os.getpid()}-{start_ticks(os.getpid()) + 1}", True),
        (f"{pid_space()}-99999999-5", True),
        (f"{pid_space()}-nonsense", True),
        ("0123456789ab-1-1", False),
        ("", False),
    ],
)
def test_whose_writer_is_gone_is_left_behind(tmp_path: Path, owner: str, left: bool) -> None:
    path = tmp_path / f".writing-{owner}-0a1b"
    path.write_bytes(b"")
    assert is_left_behind(path) is left


def test_a_file_from_elsewhere_is_left_behind_after_a_day(tmp_path: Path) -> None:
    path = tmp_path / ".writing-0123456789ab-1-1-0a1b"
    path.write_bytes(b"")
    os.utime(path, (time.time() - 90_000,) * 2)
    assert is_left_behind(path)
    path.unlink()
    assert not is_left_behind(path)
