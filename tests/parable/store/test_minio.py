"""What only a server can do wrong: refuse, vanish, and come back."""

import contextlib
import io
import logging
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from minio import Minio

import parable.store.minio
from parable.artifact import Blueprint, Product, ProductWriter, build
from parable.errors import UserError
from parable.store import AlreadyExistsError, ObjectStore, open_store
from parable.store.minio import NUM_ATTEMPTS, MinioStore
from tests.support.minio_server import MinioServer
from tests.support.process import free_port

Use = Callable[[ObjectStore], object]


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parable.store.minio, "FIRST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(parable.store.minio, "LARGEST_WAIT_SECONDS", 0.02)


def connect(server: MinioServer, bucket: str, **changes: str) -> MinioStore:
    return MinioStore.from_environment(bucket, "some/prefix", server.environment | changes)


def refusal(server: MinioServer, bucket: str, **changes: str) -> str:
    with pytest.raises(UserError) as caught:
        connect(server, bucket, **changes)
    return str(caught.value)


def test_a_wrong_access_key_is_refused(signing_minio: MinioServer, bucket: str) -> None:
    message = refusal(signing_minio, bucket, AWS_ACCESS_KEY_ID="nobody-knows-me")
    assert message == (
        f"The store {signing_minio.url} refuses the credentials for bucket '{bucket}' (AccessDenied). Check "
        "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and that they may read, write and list this bucket."
    )


def test_a_wrong_secret_is_refused(signing_minio: MinioServer, bucket: str) -> None:
    message = refusal(signing_minio, bucket, AWS_SECRET_ACCESS_KEY="not-the-secret")
    assert message.startswith(f"The store {signing_minio.url} refuses the credentials for bucket '{bucket}'")
    assert "not-the-secret" not in message
    assert signing_minio.access_key not in message


def test_a_secret_that_is_changed_later_is_refused_too(signing_minio: MinioServer, bucket: str) -> None:
    store = connect(signing_minio, bucket)
    stale = Minio(
        signing_minio.endpoint, access_key=signing_minio.access_key, secret_key="changed-since", secure=False,
        region="us-east-1",
    )  # fmt: skip
    store._client = stale
    for use in uses():
        with pytest.raises(
            UserError, match=r"refuses the credentials .* \((SignatureDoesNotMatch|AccessDenied)\)"
        ):
            use(store)


def test_a_missing_bucket_is_named(minio: MinioServer) -> None:
    assert refusal(minio, "nobody-made-this") == (
        f"The bucket 'nobody-made-this' does not exist at {minio.url}. Make it (for instance `mc mb "
        "store/nobody-made-this`), or name another with --store s3://bucket/prefix."
    )


def test_a_bucket_that_is_removed_later_is_named(minio: MinioServer) -> None:
    bucket = minio.new_bucket()
    store = connect(minio, bucket)
    minio.client().remove_bucket(bucket)
    for use in (lambda: store.put("a", b""), lambda: store.get("a"), lambda: list(store.list())):
        with pytest.raises(UserError, match=f"The bucket '{bucket}' does not exist at {minio.url}"):
            use()


@pytest.mark.parametrize("bucket", ["ab", "Upper", "under_score", "a..b", "-dash"])
def test_an_impossible_bucket_is_named(minio: MinioServer, bucket: str) -> None:
    message = refusal(minio, bucket)
    assert bucket in message
    assert "bucket" in message


@pytest.mark.usefixtures("short_waits")
def test_a_server_that_is_not_there_is_one_clear_paragraph(minio: MinioServer) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    assert refusal(minio, "any-bucket", PARABLE_S3_ENDPOINT=url) == (
        f"The store {url} does not answer (NewConnectionError; {NUM_ATTEMPTS} attempts). Check "
        "PARABLE_S3_ENDPOINT and that the server is up, then run the same command again: it goes on from "
        "what is finished."
    )


@pytest.mark.usefixtures("short_waits")
def test_encryption_where_the_server_has_none(minio: MinioServer, bucket: str) -> None:
    url = minio.url.replace("http:", "https:")
    assert re.match(
        rf"The store {url} does not answer \(\w+; {NUM_ATTEMPTS} attempts\)",
        refusal(minio, bucket, PARABLE_S3_ENDPOINT=url),
    )


@pytest.mark.usefixtures("short_waits")
def test_every_use_of_a_killed_server_ends_in_one_paragraph(mortal_minio: MinioServer) -> None:
    store = connect(mortal_minio, mortal_minio.new_bucket())
    store.put("a", b"kept")
    mortal_minio.kill()
    for use in uses():
        with pytest.raises(UserError, match=rf"does not answer \(\w+; {NUM_ATTEMPTS} attempts\)") as caught:
            use(store)
        assert "\n" not in str(caught.value)
        assert mortal_minio.access_key not in str(caught.value)
        assert mortal_minio.secret_key not in str(caught.value)

    mortal_minio.start()
    assert store.get("a") == b"kept"


def test_a_short_outage_is_waited_out(mortal_minio: MinioServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parable.store.minio, "NUM_ATTEMPTS", 300)
    monkeypatch.setattr(parable.store.minio, "FIRST_WAIT_SECONDS", 0.1)
    monkeypatch.setattr(parable.store.minio, "LARGEST_WAIT_SECONDS", 0.1)
    store = connect(mortal_minio, mortal_minio.new_bucket())
    store.put("a", b"patient")
    mortal_minio.kill()
    refused = threading.Event()

    def fetch() -> bytes:
        refused.set()
        return store.get("a")

    with ThreadPoolExecutor(1) as pool:
        got = pool.submit(fetch)
        refused.wait()
        mortal_minio.start()  # By this thread: on Linux the server dies with the thread that started it.
        assert got.result() == b"patient"


@pytest.mark.usefixtures("short_waits")
def test_a_product_resumes_when_the_server_is_back(mortal_minio: MinioServer) -> None:
    store = connect(mortal_minio, mortal_minio.new_bucket())
    blueprint = Blueprint("corpora", "test", 1, {"parts": 4})
    made = []

    def make(writer: ProductWriter, dies_before: int) -> None:
        for number in range(4):
            if number == dies_before:
                mortal_minio.kill()
            if writer.resume(f"part-{number}") is None:
                writer.put(f"part-{number}", bytes([number]))
                made.append(number)

    with pytest.raises(UserError, match="does not answer"):
        build(store, blueprint, lambda writer: make(writer, 2))
    mortal_minio.start()
    product = Product(store, build(store, blueprint, lambda writer: make(writer, -1)))
    assert made == [0, 1, 2, 3]
    assert [product.read(path) for path in product.files()] == [b"\0", b"\1", b"\2", b"\3"]
    assert list(store.list("leases/")) == []


def test_a_put_whose_answer_was_lost_is_no_conflict(
    minio: MinioServer, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The object is written, the answer never comes, and the second attempt meets the first one's object."""
    monkeypatch.setattr(parable.store.minio, "FIRST_WAIT_SECONDS", 0.01)
    store = connect(minio, bucket)
    execute = store._client._execute
    for data, others in ((b"ours", False), (b"another's", True)):
        answers: Iterator[bool] = iter([False, True])

        def once_deaf(*args: object, answers: Iterator[bool] = answers, **kwargs: object) -> object:
            answer = execute(*args, **kwargs)  # type: ignore[arg-type]
            if not next(answers, True):
                raise ConnectionResetError
            return answer

        monkeypatch.setattr(store._client, "_execute", once_deaf)
        with pytest.raises(AlreadyExistsError) if others else contextlib.nullcontext():
            store.put("once", data, if_absent=True)
        monkeypatch.setattr(store._client, "_execute", execute)
        assert store.get("once") == b"ours"


def test_the_prefix_is_the_store(minio: MinioServer, bucket: str) -> None:
    one = MinioStore.from_environment(bucket, "one", minio.environment)
    two = MinioStore.from_environment(bucket, "one/two", minio.environment)
    whole = MinioStore.from_environment(bucket, "", minio.environment)
    two.put("a", b"x")
    assert [info.key for info in one.list()] == ["two/a"]
    assert [info.key for info in two.list()] == ["a"]
    assert [info.key for info in whole.list()] == ["one/two/a"]
    assert (one.uri, whole.uri) == (f"s3://{bucket}/one", f"s3://{bucket}")


def test_a_folders_mark_is_no_object(minio: MinioServer, bucket: str) -> None:
    store = connect(minio, bucket)
    store.put("folder/a", b"x")
    for mark in ("some/prefix/", "some/prefix/folder/"):
        minio.client().put_object(bucket, mark, io.BytesIO(), 0)
    assert [info.key for info in store.list()] == ["folder/a"]


def test_no_credential_is_in_what_is_said(
    minio: MinioServer, bucket: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        store = connect(minio, bucket)
        store.put("a", b"x", if_absent=True)
    said = [repr(store), str(store), store.uri, caplog.text]
    for secret in (minio.access_key, minio.secret_key):
        assert [text for text in said if secret in text] == []


@pytest.mark.parametrize("missing", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_missing_credentials_are_asked_for(minio: MinioServer, bucket: str, missing: str) -> None:
    assert refusal(minio, bucket, **{missing: ""}) == (
        f"The store s3://{bucket} needs credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and "
        "PARABLE_S3_ENDPOINT, unless it is Amazon's)."
    )


def test_our_own_variable_for_the_endpoint_comes_first(minio: MinioServer, bucket: str) -> None:
    environment = minio.environment | {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
    environment |= {"PARABLE_S3_ENDPOINT": minio.url, "AWS_REGION": "", "AWS_SESSION_TOKEN": ""}
    store = MinioStore.from_environment(bucket, "", environment)
    store.put("a", b"x")
    assert store.get("a") == b"x"


def test_open_store_reads_the_environment(
    minio: MinioServer, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in minio.environment.items():
        monkeypatch.setenv(name, value)
    assert isinstance(open_store(f"s3://{bucket}/a/b/"), MinioStore)
    assert open_store(f"s3://{bucket}/a/b/").uri == f"s3://{bucket}/a/b"


def uses() -> list[Use]:
    here = Path(__file__)
    return [
        lambda store: store.put("a", b"x"),
        lambda store: store.put("b", b"x", if_absent=True),
        lambda store: store.put_file("c", here),
        lambda store: store.get("a"),
        lambda store: store.get_range("a", 0, 1),
        lambda store: store.stat("a"),
        lambda store: list(store.list()),
        lambda store: store.delete("a"),
    ]
