"""Rules that hold for every pod: Pod Security's restricted standard, secrets, life and end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.charts.chart import (
    CHART,
    EVERYTHING,
    MINIMAL,
    VALUES,
    Object,
    only,
    pod_specs,
    render,
    server_container,
)
from tests.support.helm import Helm

# https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
_ALLOWED_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
# After the drain: uvicorn's last bytes, the jobs, the models, the engine.
CLOSING_SECONDS = 10


def _pods(helm: Helm) -> Iterator[tuple[str, Object]]:
    for values in VALUES:
        for name, spec in pod_specs(render(helm, values)).items():
            yield f"{values.stem} {name}", spec


def _containers(spec: Object) -> list[Object]:
    return [*spec.get("initContainers", []), *spec["containers"]]


def test_there_are_two_pods_to_look_at(helm: Helm) -> None:
    assert set(pod_specs(render(helm, MINIMAL))) == {
        "Deployment/try-parable-server",
        "Pod/try-parable-server-test",
    }


def test_pods_are_restricted(helm: Helm) -> None:
    for name, spec in _pods(helm):
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec), name
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert spec["securityContext"].get("runAsUser", 1) != 0, name
        for volume in spec["volumes"]:
            assert set(volume) - {"name"} <= _ALLOWED_VOLUMES, name
        for container in _containers(spec):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name
            assert not any("hostPort" in port for port in container.get("ports", [])), name


def test_pods_run_as_the_images_user_unless_the_platform_chooses(helm: Helm) -> None:
    containerfile = (CHART.parents[1] / "Containerfile").read_text()
    for spec in pod_specs(render(helm, MINIMAL)).values():
        user = f"{spec['securityContext']['runAsUser']}:{spec['securityContext']['runAsGroup']}"
        assert f"\nUSER {user}\n" in containerfile
    for spec in pod_specs(render(helm, EVERYTHING)).values():
        assert set(spec["securityContext"]) == {"runAsNonRoot", "seccompProfile"}


def test_pods_cannot_ask_kubernetes_anything(helm: Helm) -> None:
    for name, spec in _pods(helm):
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["enableServiceLinks"] is False, name
    assert only(render(helm, MINIMAL), "ServiceAccount")["automountServiceAccountToken"] is False


def test_every_container_has_requests_and_limits(helm: Helm) -> None:
    for name, spec in _pods(helm):
        for container in _containers(spec):
            for kind in ("requests", "limits"):
                assert {"cpu", "memory"} <= set(container["resources"][kind]), name


def test_nothing_is_mounted_by_sub_path(helm: Helm) -> None:
    """A file mounted so never changes: no key could be taken back."""
    for name, spec in _pods(helm):
        for container in _containers(spec):
            for mount in container["volumeMounts"]:
                assert not {"subPath", "subPathExpr"} & set(mount), name


def test_what_is_written_has_a_limit(helm: Helm) -> None:
    for name, spec in _pods(helm):
        writable = {
            mount["name"]
            for container in _containers(spec)
            for mount in container["volumeMounts"]
            if not mount.get("readOnly", False)
        }
        for volume in spec["volumes"]:
            if volume["name"] in writable:
                assert volume["emptyDir"]["sizeLimit"], name
            assert "emptyDir" not in volume or volume["name"] in writable, name


def test_only_vllm_gets_memory_to_share_between_its_processes(helm: Helm) -> None:
    """A container has 64 MiB without it, and one vLLM takes some 400."""
    for models, size in ((None, None), (1, "1Gi"), (3, "3Gi")):
        changes = {} if models is None else {"modelServer.engine": "vllm", "modelServer.vllm.models": models}
        objects = render(helm, MINIMAL, changes)
        mounts = {one["mountPath"]: one["name"] for one in server_container(objects)["volumeMounts"]}
        volumes = {one["name"]: one for one in pod_specs(objects)["Deployment/try-parable-server"]["volumes"]}
        if models is None:
            assert "/dev/shm" not in mounts
        else:
            assert volumes[mounts["/dev/shm"]]["emptyDir"] == {"medium": "Memory", "sizeLimit": size}


def test_credentials_come_from_the_named_secret_only(helm: Helm) -> None:
    variables = {one["name"]: one for one in server_container(render(helm, MINIMAL))["env"]}
    for name, field in (("AWS_ACCESS_KEY_ID", "accesskey"), ("AWS_SECRET_ACCESS_KEY", "secretkey")):
        assert variables[name] == {
            "name": name,
            "valueFrom": {"secretKeyRef": {"name": "parable-store", "key": field}},
        }


def test_no_secret_stands_in_an_object(helm: Helm) -> None:
    for values in VALUES:
        objects = render(helm, values)
        assert "Secret" not in {one["kind"] for one in objects}
        for spec in pod_specs(objects).values():
            for variable in (one for container in _containers(spec) for one in container.get("env", [])):
                if any(word in variable["name"] for word in ("KEY", "SECRET", "PASSWORD", "TOKEN")):
                    assert set(variable) == {"name", "valueFrom"}


def test_the_chart_holds_no_credentials() -> None:
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    assert defaults["objectStore"]["existingSecret"] == ""
    assert defaults["modelServer"]["apiKeys"]["existingSecret"] == ""
    for file in CHART.rglob("*.yaml"):
        assert "minio123" not in file.read_text()
        assert "minioadmin" not in file.read_text()


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_a_pod_has_longer_than_it_takes_to_drain(helm: Helm, values: Path) -> None:
    objects = render(helm, values)
    spec = only(objects, "Deployment")["spec"]["template"]["spec"]
    settings = json.loads(only(objects, "ConfigMap", "-server")["data"]["server.json"])
    hook = (
        server_container(objects).get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    )
    assert spec["terminationGracePeriodSeconds"] >= settings["drain_seconds"] + hook + CLOSING_SECONDS


def test_life_and_readiness_are_asked_apart(helm: Helm) -> None:
    container = server_container(render(helm, MINIMAL))
    paths = {name: container[name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert paths == {
        "startupProbe": {"path": "/health/live", "port": "http"},
        "livenessProbe": {"path": "/health/live", "port": "http"},
        "readinessProbe": {"path": "/health/ready", "port": "http"},
    }
    startup = container["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 300


def test_each_mount_has_its_volume_and_each_volume_its_mount(helm: Helm) -> None:
    for name, spec in _pods(helm):
        mounted = {mount["name"] for container in _containers(spec) for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in spec["volumes"]}, name
