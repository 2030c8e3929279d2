"""What the chart tells the server is what the server can be told."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from services.model_server.settings import ServerSettings
from tests.charts.chart import EVERYTHING, MINIMAL, VALUES, only, pod_specs, render, server_container
from tests.support.helm import Helm

# Where the chart must decide, or knows better.
_CHART_DECIDES = {"host", "store", "cache", "keys_file"}


def _settings(helm: Helm, values: Path, changes: dict[str, Any] | None = None) -> ServerSettings:
    text = only(render(helm, values, changes), "ConfigMap", "-server")["data"]["server.json"]
    return ServerSettings.model_validate_json(text, strict=False)


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_the_server_takes_its_settings(helm: Helm, values: Path) -> None:
    _settings(helm, values).check()


def test_every_setting_can_be_given(helm: Helm) -> None:
    assert _settings(helm, EVERYTHING).model_fields_set == set(ServerSettings.model_fields)


def test_the_defaults_are_the_servers_own(helm: Helm) -> None:
    ours = _settings(helm, MINIMAL).model_dump(exclude=_CHART_DECIDES)
    assert ours == ServerSettings().model_dump(exclude=_CHART_DECIDES)


def test_values_arrive(helm: Helm) -> None:
    settings = _settings(helm, EVERYTHING)
    assert settings.store == "s3://parable/team-a"
    assert settings.model == "quickstart.aligned.seed-0@400"
    assert settings.memory_bytes == 8 * 2**30
    assert settings.device == "cuda"
    assert settings.engine == "vllm"
    assert settings.vllm.command == ("/opt/vllm/bin/vllm", "serve")
    assert settings.vllm.arguments == ("--max-num-seqs", "64")
    assert settings.vllm.models == 1
    assert settings.drain_seconds == 119.5
    assert settings.interactive.patience_seconds == 2.5
    assert settings.interactive.deadline_seconds == 600
    assert settings.jobs.max_requests == 1_000_000
    assert settings.cors_origins == ("https://lab.example",)


def test_ports_files_and_folders_are_where_the_pod_has_them(helm: Helm) -> None:
    objects = render(helm, EVERYTHING)
    container = server_container(objects)
    settings = _settings(helm, EVERYTHING)
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"http": settings.port, "metrics": settings.metrics_port}

    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    volumes = {one["name"]: one for one in pod_specs(objects)["Deployment/lab-server"]["volumes"]}
    assert str(settings.keys_file) == f"{mounts['keys']}/keys.json"
    assert volumes["keys"]["secret"]["secretName"] == "parable-keys"
    assert str(settings.cache) == mounts["cache"]
    variables = {one["name"]: one.get("value") for one in container["env"]}
    assert PurePosixPath(str(variables["SSL_CERT_FILE"])).parent == PurePosixPath(mounts["ca"])

    assert container["command"] == ["parable"]
    assert container["args"] == ["serve", "--settings", f"{mounts['settings']}/server.json"]
    assert "server.json" in only(objects, "ConfigMap", "-server")["data"]


@pytest.mark.parametrize(
    ("store", "address", "endpoint"),
    [
        ({}, "s3://parable", None),
        ({"prefix": "a/b"}, "s3://parable/a/b", None),
        ({"endpoint": "minio:9000"}, "s3://parable", "https://minio:9000"),
        ({"endpoint": "minio:9000", "secure": False}, "s3://parable", "http://minio:9000"),
    ],
)
def test_the_store_is_said_as_its_client_reads_it(
    helm: Helm, store: dict[str, Any], address: str, endpoint: str | None
) -> None:
    objects = render(helm, MINIMAL, {f"objectStore.{name}": value for name, value in store.items()})
    variables = {one["name"]: one.get("value") for one in server_container(objects)["env"]}
    assert variables.get("PARABLE_S3_ENDPOINT") == endpoint
    assert variables["AWS_REGION"] == "us-east-1"
    settings = json.loads(only(objects, "ConfigMap", "-server")["data"]["server.json"])
    assert settings["store"] == address
