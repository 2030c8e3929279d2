"""What only a folder can show: what is really on the disk."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from parable.errors import UserError
from parable.process import own_name
from parable.store import LocalStore

WRITER = """
import os, sys
from pathlib import Path
from parable.store import LocalStore
store = LocalStore(Path(sys.argv[1]))
with store._publishing("a/victim") as file:
    file.write(b"half of it")
    file.flush()
    print("writing", flush=True)
    os.kill(os.getpid(), 9)
"""

FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from parable.errors import UserError
from parable.store import LocalStore
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    LocalStore(Path(sys.argv[1])).put("a/b", bytes(2000))
except UserError as error:
    print(error)
"""


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


def everything(store: LocalStore) -> list[str]:
    return sorted(path.relative_to(store.root).as_posix() for path in store.root.rglob("*"))


def test_an_object_is_a_plain_file(store: LocalStore) -> None:
    store.put("a/b.txt", b"hello")
    assert everything(store) == ["a", "a/b.txt"]
    assert (store.root / "a" / "b.txt").read_bytes() == b"hello"
    assert store.path("a/b.txt") == store.root / "a" / "b.txt"


def test_a_file_may_be_read_by_whoever_the_umask_lets(store: LocalStore) -> None:
    (store.root / "plain").write_bytes(b"")
    store.put("ours", b"")
    assert store.path("ours").stat().st_mode == (store.root / "plain").stat().st_mode


def test_the_folder_is_made(tmp_path: Path) -> None:
    LocalStore(tmp_path / "deep" / "down").put("a", b"x")
    assert (tmp_path / "deep" / "down" / "a").read_bytes() == b"x"


def test_empty_folders_go_with_their_last_object(store: LocalStore) -> None:
    store.put("a/b/c", b"x")
    store.put("a/d", b"y")
    store.delete("a/b/c")
    assert everything(store) == ["a", "a/d"]
    store.delete("a/d")
    assert everything(store) == []
    assert store.root.is_dir()


def test_puts_and_deletes_in_one_folder_at_once(store: LocalStore) -> None:
    """A delete removes the empty folder that a put is about to write into."""

    def work(worker: int) -> int:
        for number in range(300):
            key = f"shared/deep/{worker}"
            store.put(key, bytes([number % 256]), if_absent=True)
            assert [info.key for info in store.list(key)] == [key]
            assert store.get(key) == bytes([number % 256])
            store.delete(key)
        return worker

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(4))) == [0, 1, 2, 3]
    assert everything(store) == []


def test_what_a_killed_writer_left_is_invisible_and_swept(store: LocalStore) -> None:
    killed = subprocess.run([sys.executable, "-c", WRITER, store.root], stdout=subprocess.PIPE)
    assert (killed.returncode, killed.stdout) == (-9, b"writing\n")
    [_, left] = everything(store)
    assert (store.root / left).read_bytes() == b"half of it"

    assert store.stat("a/victim") is None
    assert list(store.list()) == []
    assert everything(store) == ["a"]
    store.put("a/victim", b"whole", if_absent=True)
    assert everything(store) == ["a", "a/victim"]


def test_a_living_writers_file_is_left_alone(store: LocalStore) -> None:
    left = store.root / f".writing-{own_name()}-abcd"
    left.write_bytes(b"half")
    assert list(store.list()) == []
    assert left.exists()


def test_a_failed_put_leaves_nothing(store: LocalStore, tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        store.put("a/b", None)  # type: ignore[arg-type]
    assert everything(store) == ["a"]


@pytest.mark.parametrize("if_absent", [False, True])
def test_an_object_under_another_is_refused_clearly(store: LocalStore, if_absent: bool) -> None:
    store.put("a/b", b"x")
    with pytest.raises(UserError, match=r"could not write a/b/c .*no object can lie under another's key"):
        store.put("a/b/c", b"y", if_absent=if_absent)
    assert everything(store) == ["a", "a/b"]


def test_a_file_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UserError, match=r"The store \S+/file can't be used \(File exists\)\. Give a folder"):
        LocalStore(tmp_path / "file")


def test_a_full_disk_is_said_with_its_mend(store: LocalStore) -> None:
    """A limit on the size of files stands for a full disk: the kernel refuses the write alike."""
    limited = subprocess.run(
        [sys.executable, "-c", FULL_DISK, store.root], capture_output=True, text=True, check=True
    )
    assert limited.stdout.strip() == (
        f"The store {store.root} could not write a/b (File too large). Check the disk, or choose another "
        "folder with --store; what is finished is kept and the run goes on from there."
    )
    assert everything(store) == ["a"]
