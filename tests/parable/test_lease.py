"""One writer a product, whoever is killed and whoever is quick."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import orjson
import pytest

import parable.lease
from parable.canonical import readable_json
from parable.errors import UserError
from parable.lease import Claim, Lease, _claim, _newest, lease_folder
from parable.store import LocalStore, ObjectStore, open_store
from tests.parable.programs import start
from tests.support.minio_server import MinioServer
from tests.support.waiting import PATIENCE_SECONDS, until

KEY = "corpora/abc"
FOLDER = "leases/corpora-abc/"


@pytest.fixture(params=["folder", "minio"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    if request.param == "folder":
        return LocalStore(tmp_path / "store")
    server: MinioServer = request.getfixturevalue("minio")
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return open_store(f"s3://{server.new_bucket()}")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parable.lease, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(parable.lease, "RENEW_SECONDS", 0.05)


def keys(store: ObjectStore) -> list[str]:
    return [info.key for info in store.list("leases/")]


def foreign(token: str = "theirs", renewals: int = 0) -> bytes:
    return readable_json(
        {"token": token, "host": "elsewhere", "space": "0" * 12, "pid": 1, "started": 1, "renewals": renewals}
    )


def test_a_lease_is_there_while_it_is_held(store: ObjectStore) -> None:
    with Lease.acquire(store, KEY) as lease:
        assert keys(store) == [f"{FOLDER}000000.json"]
        lease.check()
    assert keys(store) == []
    with Lease.acquire(store, KEY):
        pass


def test_a_lease_is_released_by_an_error_too(store: ObjectStore) -> None:
    with pytest.raises(RuntimeError), Lease.acquire(store, KEY):
        raise RuntimeError
    assert keys(store) == []


def test_leases_of_two_products_are_apart(store: ObjectStore) -> None:
    with Lease.acquire(store, KEY), Lease.acquire(store, "corpora/abd"):
        assert len(keys(store)) == 2


def test_threads_take_turns(store: ObjectStore) -> None:
    inside: list[int] = []
    crowds: list[int] = []

    def work(number: int) -> None:
        with Lease.acquire(store, KEY):
            inside.append(number)
            crowds.append(len(inside))
            inside.remove(number)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(12)))
    assert crowds == [1] * 12
    assert keys(store) == []


def test_a_living_holder_is_waited_for(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    holder = subprocess.Popen(
        [sys.executable, "-m", "tests.parable.programs", "hold", store.uri, KEY],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    assert holder.stdout.readline() == "held\n"
    got = threading.Event()

    def wait() -> None:
        with Lease.acquire(store, KEY):
            got.set()

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(wait)
        assert not got.wait(0.3)
        holder.stdin.close()
        waiting.result()
    assert holder.stdout.readline() == "released\n"
    holder.stdout.close()
    assert holder.wait() == 0


def test_a_killed_holder_on_this_host_is_followed_at_once(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    holder = start("hold", store.uri, KEY)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    holder.kill()
    holder.wait()
    holder.stdout.close()
    began = time.monotonic()
    with Lease.acquire(store, KEY):
        assert time.monotonic() - began < 30  # It expires after 60.
        assert keys(store) == [f"{FOLDER}000001.json"]
    assert keys(store) == []


def test_a_killed_but_unreaped_holder_is_gone_too(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    holder = start("hold", store.uri, KEY)
    assert holder.stdout is not None
    holder.stdout.readline()
    holder.kill()
    with Lease.acquire(store, KEY):
        pass
    holder.stdout.close()
    holder.wait()


def test_a_silent_holder_elsewhere_is_followed_when_its_time_is_over(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parable.lease, "EXPIRE_SECONDS", 0.3)
    store.put(f"{FOLDER}000007.json", foreign())
    began = time.monotonic()
    with Lease.acquire(store, KEY):
        assert time.monotonic() - began >= 0.3
        assert keys(store) == [f"{FOLDER}000008.json"]


def test_a_holder_elsewhere_that_renews_is_waited_for(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, looks = 0.0, 0

    def look_again(_: float) -> None:
        nonlocal looks
        looks += 1
        time.sleep(0.001)

    def wait_for_two_looks() -> None:
        """The second of them began after this did."""
        before = looks
        until(lambda: looks >= before + 2 or waiting.done())

    monkeypatch.setattr(parable.lease, "time", SimpleNamespace(monotonic=lambda: clock, sleep=look_again))
    store.put(f"{FOLDER}000000.json", foreign())
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(Lease.acquire, store, KEY)
        for renewals in range(1, 5):
            store.put(f"{FOLDER}000000.json", foreign(renewals=renewals))
            wait_for_two_looks()
            clock += 0.9 * parable.lease.EXPIRE_SECONDS
            wait_for_two_looks()
            assert not waiting.done()
        store.delete(f"{FOLDER}000000.json")
        waiting.result().release()
    assert keys(store) == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'{"pid": "x"}'])
def test_a_lease_that_says_nothing_holds_nothing(store: ObjectStore, content: bytes) -> None:
    store.put(f"{FOLDER}000000.json", content)
    with Lease.acquire(store, KEY):
        assert keys(store) == [f"{FOLDER}000001.json"]


def test_a_lease_is_renewed(store: ObjectStore) -> None:
    with Lease.acquire(store, KEY):
        first = orjson.loads(store.get(f"{FOLDER}000000.json"))
        until(lambda: store.get(f"{FOLDER}000000.json") != readable_json(first))
        newest = orjson.loads(store.get(f"{FOLDER}000000.json"))
        assert newest["renewals"] > first["renewals"]
        assert newest | {"renewals": 0} == first | {"renewals": 0}


def test_who_was_followed_is_told_and_leaves_the_other_alone(store: ObjectStore) -> None:
    lease = Lease.acquire(store, KEY)
    store.put(f"{FOLDER}000001.json", foreign())
    assert lease._lost.wait(PATIENCE_SECONDS)
    with pytest.raises(
        UserError, match=r"Another process took over leases/corpora-abc/ .* run the same command"
    ):
        lease.check()
    lease.release()
    assert keys(store) == [f"{FOLDER}000001.json"]


def test_a_claim_that_proves_too_late_takes_nothing_from_a_holder(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However slowly the store takes a claim back, the holder does not look twice at the same one.
    monkeypatch.setattr(parable.lease, "POLL_SECONDS", PATIENCE_SECONDS)
    with Lease.acquire(store, KEY) as lease:
        for number in range(20):
            assert _claim(store, FOLDER, f"late {number}", after=Claim(5, foreign())) is None
        assert not lease._lost.wait(0.3)
        lease.check()


def test_of_many_who_find_a_holder_gone_one_follows(store: ObjectStore) -> None:
    """The race of check and delete: all have judged the same old lease before any of them acts."""
    store.put(f"{FOLDER}000003.json", b"gone")
    old = _newest(store, FOLDER)
    barrier = threading.Barrier(6)

    def follow(number: int) -> int | None:
        barrier.wait()
        return _claim(store, FOLDER, f"token {number}", after=old)

    with ThreadPoolExecutor(6) as pool:
        claimed = list(pool.map(follow, range(6)))
    assert [number for number in claimed if number is not None] == [4]
    newest = _newest(store, FOLDER)
    assert newest is not None
    assert newest.holder["token"] == f"token {claimed.index(4)}"
    assert keys(store) == [f"{FOLDER}000004.json"]


def test_who_comes_late_to_an_old_lease_takes_no_new_one(store: ObjectStore) -> None:
    """Judged before, acted after: the old lease was followed, released, and a fresh one begun meanwhile."""
    old = Claim(0, b"gone")
    with Lease.acquire(store, KEY):
        assert _claim(store, FOLDER, "late", after=old) is None
        assert _claim(store, FOLDER, "late", after=Claim(5, b"gone")) is None
        assert _claim(store, FOLDER, "late", after=None) is None
        assert keys(store) == [f"{FOLDER}000000.json"]


def test_who_found_nothing_takes_no_later_lease(store: ObjectStore) -> None:
    store.put(f"{FOLDER}000002.json", foreign())
    assert _claim(store, FOLDER, "late", after=None) is None
    assert keys(store) == [f"{FOLDER}000002.json"]


def test_the_folder_of_a_product() -> None:
    assert lease_folder(KEY) == FOLDER
