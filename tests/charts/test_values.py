"""Values that can't be meant are refused, with a sentence that says which and why."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.charts.chart import CHART, MINIMAL, template
from tests.support.helm import Helm

SCHEMA = json.loads((CHART / "values.schema.json").read_text())
# Whatever other charts need stands there.
_FREE_OBJECTS = {"global"}

REFUSED = [
    # A slip of the pen, at every depth.
    ({"modelSever": {}}, "additional properties 'modelSever' not allowed"),
    ({"objectStore.buckets": "x"}, "additional properties 'buckets' not allowed"),
    ({"modelServer.gpu.count": 2}, "additional properties 'count' not allowed"),
    ({"modelServer.startupProbe.period": 1}, "additional properties 'period' not allowed"),
    ({"modelServer.tolerations": [{"keys": "a"}]}, "additional properties 'keys' not allowed"),
    ({"modelServer.affinity": {"podAntiAfinity": {}}}, "additional properties 'podAntiAfinity' not allowed"),
    ({"modelServer.resources.limit": {}}, "additional properties 'limit' not allowed"),
    # Shapes.
    ({"modelServer.service.port": 0}, "/modelServer/service/port"),
    ({"modelServer.service.port": 65536}, "/modelServer/service/port"),
    ({"modelServer.service.metricsPort": "9000"}, "/modelServer/service/metricsPort"),
    ({"modelServer.networkPolicy.storePort": 70000}, "/modelServer/networkPolicy/storePort"),
    ({"modelServer.service.type": "ExternalName"}, "/modelServer/service/type"),
    ({"modelServer.replicas": -1}, "/modelServer/replicas"),
    ({"modelServer.replicas": 1.5}, "/modelServer/replicas"),
    ({"modelServer.logLevel": "info"}, "/modelServer/logLevel"),
    ({"modelServer.engine": "tgi"}, "/modelServer/engine"),
    ({"modelServer.vllm.command": []}, "/modelServer/vllm/command"),
    ({"modelServer.vllm.models": 0}, "/modelServer/vllm/models"),
    ({"modelServer.memoryBytes": "4Gi"}, "/modelServer/memoryBytes"),
    ({"modelServer.memoryBytes": 0}, "/modelServer/memoryBytes"),
    ({"modelServer.drainSeconds": -1}, "/modelServer/drainSeconds"),
    (
        {"modelServer.queues.interactive.patienceSeconds": 0},
        "/modelServer/queues/interactive/patienceSeconds",
    ),
    ({"modelServer.cache.sizeLimit": "0"}, "/modelServer/cache/sizeLimit"),
    ({"modelServer.resources.limits.memory": "4 GB"}, "/modelServer/resources/limits/memory"),
    ({"modelServer.podSecurity.runAsUser": 0}, "/modelServer/podSecurity/runAsUser"),
    ({"modelServer.corsOrigins": ["*"]}, "/modelServer/corsOrigins/0"),
    ({"modelServer.otlpEndpoint": "http://me:secret@collector"}, "/modelServer/otlpEndpoint"),
    ({"modelServer.apiKeys.field": "../keys"}, "/modelServer/apiKeys/field"),
    ({"modelServer.extraEnv": [{"name": "A"}]}, "/modelServer/extraEnv/0"),
    ({"modelServer.networkPolicy.apiFrom": [{}]}, "/modelServer/networkPolicy/apiFrom/0"),
    ({"objectStore.endpoint": "http://minio:9000"}, "/objectStore/endpoint"),
    ({"objectStore.endpoint": "minio:0"}, "/objectStore/endpoint"),
    ({"objectStore.bucket": "No"}, "/objectStore/bucket"),
    ({"objectStore.prefix": "/a"}, "/objectStore/prefix"),
    ({"objectStore.prefix": "a/"}, "/objectStore/prefix"),
    ({"objectStore.existingSecret": "Not A Name"}, "/objectStore/existingSecret"),
    ({"image.digest": "sha256:abc"}, "/image/digest"),
    ({"image.repository": "registry.example/parable:1"}, "/image/repository"),
    # What nobody can guess.
    ({"image.repository": ""}, "image.repository is empty"),
    ({"objectStore.bucket": ""}, "objectStore.bucket is empty"),
    (
        {"objectStore.existingSecret": ""},
        "objectStore.existingSecret is empty: make a Secret with the store's credentials and name it, for "
        "instance: kubectl create secret generic parable-store --namespace lab --from-literal=accesskey=... "
        "--from-literal=secretkey=...",
    ),
    (
        {"modelServer.apiKeys.existingSecret": ""},
        "modelServer.apiKeys.existingSecret is empty: make a Secret with the file of API keys and name it, "
        "for instance: kubectl create secret generic parable-keys --namespace lab --from-file=keys.yaml",
    ),
    # What does not fit together.
    (
        {"modelServer.drainSeconds": 60},
        "is 60: the pod would be killed while it drains. With preStopSeconds 5, "
        "drainSeconds 60 and 10 for closing, give it 75 or more.",
    ),
    ({"modelServer.drainSeconds": 45.5}, "give it 61 or more"),
    ({"modelServer.terminationGracePeriodSeconds": 44}, "give it 45 or more"),
    (
        {"modelServer.cache.sizeLimit": "8Gi"},
        "cache.bytes is 8589934592, which is not less than sizeLimit, 8Gi: the pod would be evicted",
    ),
    ({"modelServer.cache.sizeLimit": "8G"}, "which is not less than sizeLimit, 8G"),
    ({"modelServer.cache.bytes": 11 * 2**30}, "cache.bytes is 11811160064, which is not less"),
    (
        {"modelServer.rollout": {"maxSurge": 0, "maxUnavailable": 0}},
        "rollout.maxSurge and maxUnavailable are both 0: no pod could ever be replaced",
    ),
    ({"modelServer.rollout": {"maxSurge": "0%"}}, "no pod could ever be replaced"),
    (
        {"modelServer.autoscaling": {"enabled": True, "minReplicas": 5}},
        "autoscaling.minReplicas is 5, above maxReplicas, which is 4",
    ),
    (
        {"modelServer.autoscaling.enabled": True, "modelServer.resources.requests": {"cpu": None}},
        "resources.requests.cpu is not given",
    ),
    (
        {"modelServer.gpu.enabled": True, "modelServer.resources.limits": {"nvidia.com/gpu": 1}},
        "resources.limits names nvidia.com/gpu, which gpu.enabled adds by itself",
    ),
    (
        {"modelServer.extraEnv": [{"name": "AWS_SECRET_ACCESS_KEY", "value": "x"}]},
        "extraEnv names AWS_SECRET_ACCESS_KEY, which the chart itself sets",
    ),
    (
        {"modelServer.podLabels": {"app.kubernetes.io/instance": "x"}},
        "podLabels names app.kubernetes.io/instance",
    ),
    (
        {"modelServer.serviceAccount": {"create": False, "annotations": {"a": "b"}}},
        "serviceAccount.annotations are given and create is false",
    ),
    ({"objectStore.secure": False}, "Amazon's store speaks TLS only"),
    ({"objectStore.caBundle.existingConfigMap": "ca"}, "Amazon's certificates need no bundle"),
    (
        {
            "objectStore.endpoint": "minio:9000",
            "objectStore.secure": False,
            "objectStore.caBundle.existingConfigMap": "ca",
        },
        "without TLS nothing would read it",
    ),
]


@pytest.mark.parametrize(("changes", "sentence"), REFUSED, ids=lambda one: str(one)[:60])
def test_refused(helm: Helm, changes: dict[str, Any], sentence: str) -> None:
    status, _, complaint = template(helm, MINIMAL, changes)
    assert status != 0
    assert sentence in complaint


def test_a_monitor_needs_a_cluster_that_knows_it(helm: Helm) -> None:
    changes = {"modelServer.serviceMonitor.enabled": True}
    status, _, complaint = template(helm, MINIMAL, changes, monitors=False)
    assert status != 0
    assert "install the Prometheus Operator, or set it to false" in complaint
    assert template(helm, MINIMAL, changes)[0] == 0


@pytest.mark.parametrize("changes", [{"drainSeconds": 45}, {"terminationGracePeriodSeconds": 45}])
def test_just_enough_to_drain_is_enough(helm: Helm, changes: dict[str, Any]) -> None:
    named = {f"modelServer.{name}": value for name, value in changes.items()}
    assert template(helm, MINIMAL, named)[0] == 0


@pytest.mark.parametrize("size", ["8589934593", "8388609Ki", "8193Mi", "9Gi", "1Ti", "8590M", "9G", "1T"])
def test_a_cache_that_holds_more_than_is_kept(helm: Helm, size: str) -> None:
    assert template(helm, MINIMAL, {"modelServer.cache.sizeLimit": size})[0] == 0


def test_all_that_is_missing_is_told_at_once(helm: Helm) -> None:
    result = helm("template", "try", CHART)
    assert result.returncode != 0
    for name in (
        "image.repository",
        "objectStore.bucket",
        "objectStore.existingSecret",
        "apiKeys.existingSecret",
    ):
        assert f"{name} is empty" in result.stderr


def test_every_object_of_the_schema_is_closed() -> None:
    """Closed, or a map whose values have a type."""
    open_objects = [
        path
        for path, one in _objects(SCHEMA, "")
        if path.rpartition("/")[2] not in _FREE_OBJECTS
        and one.get("additionalProperties") is not False
        and not isinstance(one.get("additionalProperties"), dict)
    ]
    assert open_objects == []


def test_every_value_is_in_the_schema_and_the_schema_knows_no_other() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert _paths_of_schema(SCHEMA) - _FREE_OBJECTS == _paths_of_values(values, SCHEMA)


def _objects(node: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        if node.get("type") == "object":
            yield path, node
        for name, inner in node.items():
            yield from _objects(inner, f"{path}/{name}")
    elif isinstance(node, list):
        for number, inner in enumerate(node):
            yield from _objects(inner, f"{path}/{number}")


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    found = SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    assert isinstance(found, dict)
    return found


# Kubernetes' own structures are one value each: what is in them is not the chart's.
_WHOLE = {"affinity"}


def _paths_of_schema(schema: dict[str, Any], path: str = "") -> set[str]:
    found = set()
    for name, inner in schema.get("properties", {}).items():
        here = f"{path}.{name}" if path else name
        resolved = _resolved(inner)
        deeper = set() if name in _WHOLE else _paths_of_schema(resolved, here)
        found |= deeper or {here}
    return found


def _paths_of_values(values: dict[str, Any], schema: dict[str, Any], path: str = "") -> set[str]:
    found = set()
    for name, value in values.items():
        here = f"{path}.{name}" if path else name
        assert name in schema["properties"], here
        inner = _resolved(schema["properties"][name])
        is_group = isinstance(value, dict) and "properties" in inner and name not in _WHOLE
        found |= _paths_of_values(value, inner, here) if is_group else {here}
    return found
