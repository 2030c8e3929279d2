"""What every store must do: one suite over a folder and over a MinIO server."""

import threading
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parable.store import (
    AlreadyExistsError,
    LocalStore,
    NotFoundError,
    ObjectInfo,
    ObjectStore,
    open_store,
)
from parable.store.minio import MinioStore
from tests.support.minio_server import MinioServer

MEGABYTE = 1 << 20


@pytest.fixture(params=["folder", "minio"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    if request.param == "folder":
        return LocalStore(tmp_path / "store")
    server: MinioServer = request.getfixturevalue("minio")
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return open_store(f"s3://{server.new_bucket()}/some/prefix")


def keys(found: Iterator[ObjectInfo]) -> list[str]:
    return [info.key for info in found]


def test_both_are_object_stores(store: ObjectStore) -> None:
    assert isinstance(store, ObjectStore)


def test_what_was_put_is_got(store: ObjectStore) -> None:
    store.put("a/b.bin", b"one")
    store.put("a/b.bin", b"two")
    store.put("a/empty", b"")
    assert store.get("a/b.bin") == b"two"
    assert store.get("a/empty") == b""


def test_the_uri_opens_the_same_store(store: ObjectStore) -> None:
    store.put("here", b"x")
    assert open_store(store.uri).get("here") == b"x"
    assert open_store(store.uri).uri == store.uri


@pytest.mark.parametrize("key", ["absent", "a/absent", "a", "a/b/c"])
def test_what_is_not_there_is_not_found(store: ObjectStore, key: str, tmp_path: Path) -> None:
    store.put("a/b", b"x")
    assert store.stat(key) is None
    for read in (
        lambda: store.get(key),
        lambda: store.get_range(key, 0, 1),
        lambda: store.get_range(key, 0, 0),
        lambda: store.get_file(key, tmp_path / "copy"),
    ):
        with pytest.raises(NotFoundError, match=key):
            read()
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == []


@pytest.mark.parametrize(
    ("start", "length", "expected"),
    [
        (0, 3, b"012"),
        (4, 3, b"456"),
        (0, 10, b"0123456789"),
        (0, 11, b"0123456789"),
        (8, 5, b"89"),
        (10, 1, b""),
        (500, 5, b""),
        (3, 0, b""),
        (0, 0, b""),
    ],
)
def test_a_range_ends_where_the_object_ends(
    store: ObjectStore, start: int, length: int, expected: bytes
) -> None:
    store.put("digits", b"0123456789")
    assert store.get_range("digits", start, length) == expected


def test_an_empty_object_has_only_empty_ranges(store: ObjectStore) -> None:
    store.put("empty", b"")
    assert store.get_range("empty", 0, 5) == b""


@pytest.mark.parametrize(("start", "length"), [(-1, 3), (0, -1)])
def test_a_range_does_not_count_from_the_end(store: ObjectStore, start: int, length: int) -> None:
    store.put("digits", b"0123456789")
    with pytest.raises(ValueError, match="no range"):
        store.get_range("digits", start, length)


def test_if_absent_keeps_what_is_there(store: ObjectStore) -> None:
    store.put("once", b"first", if_absent=True)
    with pytest.raises(AlreadyExistsError, match="once"):
        store.put("once", b"second", if_absent=True)
    with pytest.raises(AlreadyExistsError, match="once"):
        store.put("once", b"first", if_absent=True)
    assert store.get("once") == b"first"
    store.put("once", b"third")
    assert store.get("once") == b"third"


def test_if_absent_writes_empty_objects_too(store: ObjectStore) -> None:
    store.put("empty", b"", if_absent=True)
    assert store.get("empty") == b""


def test_of_eight_who_put_at_once_exactly_one_wins(store: ObjectStore) -> None:
    barrier = threading.Barrier(8)

    def put(number: int) -> bool:
        barrier.wait()
        try:
            store.put("race/prize", f"writer {number}".encode(), if_absent=True)
        except AlreadyExistsError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(put, range(8)))
    assert sum(won) == 1
    assert store.get("race/prize") == f"writer {won.index(True)}".encode()


def test_a_reader_never_sees_half_an_object(store: ObjectStore) -> None:
    whole = {bytes([letter]) * 300_000 for letter in b"ab"}
    store.put("flicker", min(whole))
    done = threading.Event()

    def write() -> None:
        for number in range(20):
            store.put("flicker", sorted(whole)[number % 2])
        done.set()

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        seen = set()
        while not done.is_set() and not writing.done():
            seen.add(store.get("flicker"))
        writing.result()
    assert seen <= whole


def test_a_list_is_in_the_order_of_the_keys(store: ObjectStore) -> None:
    for key in ("b/10", "b/9", "b-/1", "a", "b/é", "b/Z", "b.txt", "b/deep/er/x", "c d/+%&=~"):
        store.put(key, key.encode())
    everything = ["a", "b-/1", "b.txt", "b/10", "b/9", "b/Z", "b/deep/er/x", "b/é", "c d/+%&=~"]
    assert keys(store.list()) == everything
    assert [store.get(key) for key in everything] == [key.encode() for key in everything]


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("x/", ["x/1", "x/2/3"]),
        ("x", ["x/1", "x/2/3", "xy/1"]),
        ("x/2", ["x/2/3"]),
        ("x/1", ["x/1"]),
        ("x/1/", []),
        ("nothing/", []),
    ],
)
def test_a_list_keeps_to_its_prefix(store: ObjectStore, prefix: str, expected: list[str]) -> None:
    for key in ("x/1", "x/2/3", "xy/1", "y"):
        store.put(key, b"")
    assert keys(store.list(prefix)) == expected


def test_an_empty_store_lists_nothing(store: ObjectStore) -> None:
    assert keys(store.list()) == []


def test_a_list_describes_as_stat_does(store: ObjectStore) -> None:
    store.put("one", b"12345")
    [listed] = store.list()
    stated = store.stat("one")
    assert stated is not None
    assert (listed.key, listed.num_bytes) == (stated.key, stated.num_bytes) == ("one", 5)
    # S3 gives whole seconds in one of its answers.
    assert listed.modified_seconds == pytest.approx(stated.modified_seconds, abs=1)


def test_delete_is_idempotent(store: ObjectStore) -> None:
    store.put("a/b/c", b"x")
    store.put("a/d", b"y")
    for key in ("a/b/c", "a/b/c", "a/b", "never", "a/d/e"):
        store.delete(key)
    assert keys(store.list()) == ["a/d"]
    store.put("a/b/c", b"again")
    assert store.get("a/b/c") == b"again"


@pytest.mark.parametrize(
    "key",
    ["", "/a", "a/", "a//b", "../a", "a/../b", ".", "a/.", "a\\b", "a\0b", ".writing-x", "a/.writing-x/b"],
)  # fmt: skip
def test_an_unclean_key_is_refused(store: ObjectStore, key: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"")
    for use in (
        lambda: store.put(key, b""),
        lambda: store.put(key, b"", if_absent=True),
        lambda: store.put_file(key, source),
        lambda: store.get(key),
        lambda: store.get_range(key, 0, 1),
        lambda: store.get_file(key, tmp_path / "target"),
        lambda: store.stat(key),
        lambda: store.delete(key),
    ):
        with pytest.raises(ValueError, match="no object key"):
            use()


@pytest.mark.parametrize("prefix", ["/", "../", "/etc/", "a/../../"])
def test_a_list_does_not_leave_the_store(store: ObjectStore, prefix: str) -> None:
    with pytest.raises(ValueError, match="no object key"):
        list(store.list(prefix))


def test_a_file_of_20_megabytes_passes_with_flat_memory(store: ObjectStore, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "new" / "folder" / "target"
    block = bytes(range(256)) * 4096
    with source.open("wb") as file:
        for number in range(20):
            file.write(number.to_bytes(4, "big") + block[4:])
    store.put("warm", b"")  # What the client imports and opens once is not counted.
    tracemalloc.start()
    store.put_file("large", source)
    put_peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    store.get_file("large", target)
    get_peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    info = store.stat("large")
    assert info is not None
    assert info.num_bytes == 20 * MEGABYTE
    assert target.read_bytes() == source.read_bytes()
    assert store.get_range("large", 19 * MEGABYTE, 4) == (19).to_bytes(4, "big")
    # One part of 8 MiB is on its way while the next is read.
    assert put_peak < 18 * MEGABYTE
    assert get_peak < 6 * MEGABYTE
    assert [path.name for path in target.parent.iterdir()] == ["target"]


def test_a_file_replaces_what_is_there(store: ObjectStore, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"new")
    store.put("a/b", b"old and longer")
    store.put_file("a/b", source)
    assert store.get("a/b") == b"new"
    source.write_bytes(b"old")
    store.get_file("a/b", source)
    assert source.read_bytes() == b"new"


def test_a_file_that_is_not_there_is_no_trouble_of_the_store(store: ObjectStore, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        store.put_file("a", tmp_path / "absent")
    assert keys(store.list()) == []


def test_a_store_says_where_it_is_and_nothing_else(store: ObjectStore) -> None:
    assert store.uri in repr(store)
    if isinstance(store, MinioStore):
        assert repr(store) == f"MinioStore('{store.uri}')"


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=200), start=st.integers(0, 250), length=st.integers(0, 250))
def test_a_range_is_a_slice(store: ObjectStore, data: bytes, start: int, length: int) -> None:
    store.put("data", data)
    assert store.get_range("data", start, length) == data[start : start + length]
