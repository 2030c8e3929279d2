from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from minio import Minio
from minio.error import S3Error
from urllib3.exceptions import HTTPError

from tests.support.minio_server import MinioServer


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[MinioServer]:
    server = MinioServer(binary=None, home=tmp_path)
    server.start()
    yield server
    server.stop()


def test_a_bucket_is_new_for_every_test(minio: MinioServer, bucket: str) -> None:
    assert list(minio.client().list_objects(bucket)) == []
    assert minio.new_bucket() != bucket


def test_a_wrong_secret_is_refused(signing_minio: MinioServer, bucket: str) -> None:
    wrong = Minio(
        signing_minio.endpoint,
        access_key=signing_minio.access_key,
        secret_key="wrong" * 4,
        secure=False,
    )
    with pytest.raises(S3Error, match="SignatureDoesNotMatch"):
        list(wrong.list_objects(bucket))


def test_a_killed_server_comes_back_on_its_port_with_its_data(mortal_minio: MinioServer) -> None:
    port, bucket = mortal_minio.port, mortal_minio.new_bucket()
    mortal_minio.client().put_object(bucket, "kept", io.BytesIO(b"abc"), 3)

    mortal_minio.kill()
    with pytest.raises((OSError, HTTPError)):
        _impatient(mortal_minio).bucket_exists(bucket)

    mortal_minio.start()
    assert mortal_minio.port == port
    response = mortal_minio.client().get_object(bucket, "kept")
    assert response.read() == b"abc"
    response.close()


def test_the_stand_in_stores_but_is_not_called_real(stand_in: MinioServer) -> None:
    bucket = stand_in.new_bucket()
    stand_in.client().put_object(bucket, "a/b", io.BytesIO(b"abc"), 3)
    assert [one.object_name for one in stand_in.client().list_objects(bucket, recursive=True)] == ["a/b"]
    assert not stand_in.is_real


def _impatient(server: MinioServer) -> Minio:
    """A client that gives up at the first refusal."""
    import urllib3

    return Minio(
        server.endpoint,
        access_key=server.access_key,
        secret_key=server.secret_key,
        secure=False,
        region="us-east-1",
        http_client=urllib3.PoolManager(retries=False),
    )
