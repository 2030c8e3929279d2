"""The policy in the chart's README, on a real MinIO: it is enough, and it is not more."""

from __future__ import annotations

import json
import re
import secrets
from pathlib import Path

import pytest
from minio.credentials.providers import StaticProvider
from minio.minioadmin import MinioAdmin

from parable.errors import UserError
from parable.store import ObjectStore, open_store
from tests.charts.chart import CHART
from tests.support.minio_server import MinioServer


@pytest.fixture(params=["team-a/store", ""], ids=["prefix", "no prefix"])
def address(request: pytest.FixtureRequest, signing_minio: MinioServer) -> str:
    return f"s3://{signing_minio.new_bucket()}/{request.param}".rstrip("/")


@pytest.fixture
def owner(signing_minio: MinioServer, address: str, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    for name, value in signing_minio.environment.items():
        monkeypatch.setenv(name, value)
    return open_store(address)


@pytest.fixture
def server(
    signing_minio: MinioServer,
    owner: ObjectStore,
    address: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> ObjectStore:
    """The store as the model server has it."""
    policy = tmp_path / "policy.json"
    policy.write_text(_policy(address))
    admin = MinioAdmin(
        endpoint=signing_minio.endpoint,
        credentials=StaticProvider(signing_minio.access_key, signing_minio.secret_key),
        secure=False,
    )
    access_key, secret_key = secrets.token_hex(8), secrets.token_hex(16)
    admin.add_service_account(access_key=access_key, secret_key=secret_key, policy_file=str(policy))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret_key)
    return open_store(address)


def _policy(address: str) -> str:
    """The README's, with names filled in as it says."""
    (text,) = re.findall(r"```json\n(.*?)```", (CHART / "README.md").read_text(encoding="utf-8"), re.S)
    bucket, _, prefix = address.removeprefix("s3://").partition("/")
    filled = text.replace("PREFIX/", f"{prefix}/" if prefix else "").replace("BUCKET", bucket)
    json.loads(filled)
    return str(filled)


def test_it_reads_everything(owner: ObjectStore, server: ObjectStore) -> None:
    owner.put("segments/a/model/config.json", b"{}")
    owner.put("runs/quickstart/aligned/seed-0.json", b"[]")
    assert server.get("segments/a/model/config.json") == b"{}"
    assert server.get_range("segments/a/model/config.json", 0, 1) == b"{"
    assert server.stat("runs/quickstart/aligned/seed-0.json") is not None
    assert server.stat("runs/none") is None
    assert [one.key for one in server.list("segments/")] == ["segments/a/model/config.json"]


@pytest.mark.parametrize("folder", ["evaluations", "serving"])
def test_it_writes_and_deletes_what_is_its_own(server: ObjectStore, folder: str, tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(bytes(9 << 20))
    server.put(f"{folder}/a/request.json", b"1", if_absent=True)
    server.put(f"{folder}/a/request.json", b"2")
    server.put_file(f"{folder}/a/rows.parquet", large)
    server.delete(f"{folder}/a/request.json")
    assert [one.key for one in server.list(f"{folder}/")] == [f"{folder}/a/rows.parquet"]


@pytest.mark.parametrize(
    "key", ["segments/a/manifest.json", "runs/r/a/seed-0.json", "evaluationsx/a", "serving2"]
)
def test_it_changes_nothing_else(owner: ObjectStore, server: ObjectStore, key: str) -> None:
    owner.put(key, b"sealed")
    with pytest.raises(UserError):
        server.put(key, b"changed")
    with pytest.raises(UserError):
        server.delete(key)
    assert owner.get(key) == b"sealed"
