import pytest

from parable.store import ObjectStore, open_store
from tests.support.minio_server import MinioServer


@pytest.fixture
def minio_store(minio: MinioServer, bucket: str, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """A store in a new bucket of the session's server."""
    for name, value in minio.environment.items():
        monkeypatch.setenv(name, value)
    return open_store(f"s3://{bucket}/store")
