"""What the chart renders, against Kubernetes' own schemas."""

from __future__ import annotations

from pathlib import Path

import kubernetes_validate  # type: ignore[import-untyped]
import pytest

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
    template,
)
from tests.support.helm import Helm

OLDEST, NEWEST = "1.30", "1.36"
ALWAYS = {
    "ConfigMap/try-parable-server",
    "Deployment/try-parable-server",
    "NetworkPolicy/try-parable-server",
    "Pod/try-parable-server-test",
    "Service/try-parable-server",
    "Service/try-parable-server-metrics",
    "ServiceAccount/try-parable-server",
}


def _names(objects: list[Object]) -> set[str]:
    return {f"{one['kind']}/{one['metadata']['name']}" for one in objects}


@pytest.mark.parametrize("values", [None, *VALUES], ids=lambda path: path.stem if path else "defaults")
def test_lint_finds_nothing(helm: Helm, values: Path | None) -> None:
    result = helm("lint", "--strict", CHART, *(("--values", str(values)) if values else ()))
    assert result.returncode == 0, result.stdout + result.stderr
    assert "[WARNING]" not in result.stdout


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_every_object_meets_its_schema(helm: Helm, values: Path, version: str) -> None:
    for one in render(helm, values):
        if one["kind"] != "ServiceMonitor":
            kubernetes_validate.validate(one, version, strict=True)


def test_the_schema_check_can_fail(helm: Helm) -> None:
    deployment = only(render(helm, MINIMAL), "Deployment")
    deployment["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="livenesProbe"):
        kubernetes_validate.validate(deployment, NEWEST, strict=True)


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_every_object_says_its_namespace_and_whose_it_is(helm: Helm, values: Path) -> None:
    for one in render(helm, values):
        assert one["metadata"]["namespace"] == "lab"
        assert one["metadata"]["labels"]["app.kubernetes.io/instance"] == "try"
        assert len(one["metadata"]["name"]) <= 63


def test_the_least_values_give_what_is_needed(helm: Helm) -> None:
    assert _names(list(render(helm, MINIMAL))) == ALWAYS


def test_all_that_is_optional_is_there_when_asked_for(helm: Helm) -> None:
    assert _names(list(render(helm, EVERYTHING))) == {
        name.replace("try-parable", "lab") for name in ALWAYS if not name.startswith("ServiceAccount/")
    } | {
        "ConfigMap/lab-server-dashboard",
        "HorizontalPodAutoscaler/lab-server",
        "PodDisruptionBudget/lab-server",
        "ServiceMonitor/lab-server",
    }


def test_a_long_release_name_still_gives_names_of_63_letters(helm: Helm) -> None:
    result = helm("template", "r" * 53, CHART, "--values", MINIMAL)
    assert result.returncode == 0, result.stderr
    assert f"name: {'r' * 49}-server-metrics\n" in result.stdout


@pytest.mark.parametrize(
    ("changes", "there"),
    [
        ({}, False),
        ({"modelServer.replicas": 2}, True),
        ({"modelServer.replicas": 2, "modelServer.podDisruptionBudget.enabled": False}, False),
        ({"modelServer.replicas": 2, "modelServer.autoscaling.enabled": True}, False),
        ({"modelServer.autoscaling": {"enabled": True, "minReplicas": 2}}, True),
    ],
)
def test_a_budget_is_made_for_more_than_one_pod(helm: Helm, changes: Object, there: bool) -> None:
    kinds = {one["kind"] for one in render(helm, MINIMAL, changes)}
    assert ("PodDisruptionBudget" in kinds) is there


def test_an_autoscaler_has_the_replicas_to_itself(helm: Helm) -> None:
    assert only(render(helm, MINIMAL, {"modelServer.replicas": 0}), "Deployment")["spec"]["replicas"] == 0
    scaled = render(helm, MINIMAL, {"modelServer.autoscaling.enabled": True})
    assert "replicas" not in only(scaled, "Deployment")["spec"]
    assert only(scaled, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]["name"] == "try-parable-server"


def test_services_lead_to_the_pods_and_keep_metrics_inside(helm: Helm) -> None:
    objects = render(helm, EVERYTHING)
    labels = only(objects, "Deployment")["spec"]["template"]["metadata"]["labels"]
    ports = {port["name"] for port in server_container(objects)["ports"]}
    for name, kind, port in (("-server", "LoadBalancer", 80), ("-server-metrics", "ClusterIP", 9000)):
        service = only(objects, "Service", name)
        assert service["spec"]["selector"].items() <= labels.items()
        assert service["spec"]["type"] == kind
        (published,) = service["spec"]["ports"]
        assert published["port"] == port
        assert published["targetPort"] in ports


def test_a_monitor_finds_the_metrics_service_and_nothing_else(helm: Helm) -> None:
    objects = render(helm, EVERYTHING)
    monitor = only(objects, "ServiceMonitor")
    assert set(monitor["spec"]) == {"selector", "namespaceSelector", "endpoints"}
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    found = [
        one for one in objects if one["kind"] == "Service" and wanted <= one["metadata"]["labels"].items()
    ]
    assert [one["metadata"]["name"] for one in found] == ["lab-server-metrics"]
    assert monitor["spec"]["endpoints"] == [
        {"port": "metrics", "path": "/metrics", "interval": "30s", "scrapeTimeout": "10s"}
    ]
    assert found[0]["spec"]["ports"][0]["name"] == "metrics"


@pytest.mark.parametrize(
    ("changes", "egress"),
    [
        ({}, {53, 443}),
        ({"objectStore.endpoint": "minio.storage", "objectStore.secure": False}, {53, 80}),
        ({"objectStore.endpoint": "minio.storage:9000"}, {53, 9000}),
        ({"objectStore.endpoint": "[fd00::1]:9000"}, {53, 9000}),
        ({"modelServer.networkPolicy.storePort": 8333}, {53, 8333}),
        ({"modelServer.otlpEndpoint": "https://collector/v1/traces"}, {53, 443}),
        ({"modelServer.otlpEndpoint": "http://collector:4318/v1/traces"}, {53, 443, 4318}),
    ],
)
def test_the_network_policy_lets_out_names_store_and_traces(
    helm: Helm, changes: Object, egress: set[int]
) -> None:
    policy = only(render(helm, MINIMAL, changes), "NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert {port["port"] for rule in policy["egress"] for port in rule["ports"]} == egress


def test_the_network_policy_lets_in_those_who_are_named_and_the_test(helm: Helm) -> None:
    objects = render(
        helm, MINIMAL, {"modelServer.networkPolicy.apiFrom": [], "modelServer.networkPolicy.metricsFrom": []}
    )
    (rule,) = only(objects, "NetworkPolicy")["spec"]["ingress"]
    assert rule["ports"] == [{"port": "http"}]
    (peer,) = rule["from"]
    assert peer["podSelector"]["matchLabels"].items() <= only(objects, "Pod")["metadata"]["labels"].items()


@pytest.mark.parametrize(
    ("image", "reference"),
    [
        ({"tag": ""}, "registry.example/parable:0.1.0"),
        ({"tag": "7"}, "registry.example/parable:7"),
        ({"tag": "7", "digest": f"sha256:{'a' * 64}"}, f"registry.example/parable@sha256:{'a' * 64}"),
    ],
)
def test_one_image_by_tag_or_by_digest(helm: Helm, image: Object, reference: str) -> None:
    objects = render(helm, MINIMAL, {f"image.{name}": value for name, value in image.items()})
    specs = pod_specs(objects).values()
    assert [one["image"] for spec in specs for one in spec["containers"]] == [reference] * 2


def test_a_changed_setting_starts_new_pods_and_nothing_else_does(helm: Helm) -> None:
    def pods(**changes: object) -> Object:
        deployment = only(
            render(helm, MINIMAL, {f"modelServer.{k}": v for k, v in changes.items()}), "Deployment"
        )
        found = deployment["spec"]["template"]
        assert isinstance(found, dict)
        return found

    assert pods() == pods(replicas=3)
    assert pods() != pods(logLevel="DEBUG")


def test_gpus_are_asked_for_as_a_limit(helm: Helm) -> None:
    resources = server_container(render(helm, EVERYTHING))["resources"]
    assert resources["limits"]["nvidia.com/gpu"] == 1
    assert "nvidia.com/gpu" not in server_container(render(helm, MINIMAL))["resources"]["limits"]


def test_a_spread_selects_these_pods_by_itself(helm: Helm) -> None:
    pod = only(render(helm, EVERYTHING), "Deployment")["spec"]["template"]
    (spread,) = pod["spec"]["topologySpreadConstraints"]
    assert spread["labelSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()


def test_it_can_be_a_part_of_another_chart(helm: Helm, tmp_path: Path) -> None:
    (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: whole\nversion: 1.0.0\n")
    (tmp_path / "charts").mkdir()
    (tmp_path / "charts" / "parable").symlink_to(CHART)
    values = "\n".join(f"  {line}" for line in MINIMAL.read_text().splitlines())
    (tmp_path / "values.yaml").write_text(f"global:\n  other: 1\nparable:\n{values}\n")
    result = helm("template", "try", tmp_path)
    assert result.returncode == 0, result.stderr
    assert "kind: Deployment" in result.stdout


def test_an_older_kubernetes_is_refused(helm: Helm) -> None:
    result = helm("template", "try", CHART, "--values", MINIMAL, "--kube-version", "1.29.0")
    assert result.returncode != 0
    assert "incompatible with Kubernetes v1.29.0" in result.stderr


def test_nothing_is_left_unrendered(helm: Helm) -> None:
    for values in VALUES:
        _, text, _ = template(helm, values)
        assert "{{" not in text.split("parable-model-server.json")[0]
        assert "<nil>" not in text
        assert "<no value>" not in text
