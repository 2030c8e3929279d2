"""The chart as Helm renders it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.support.helm import Helm

CHART = Path(__file__).resolve().parents[2] / "charts" / "parable"
VALUES = tuple(sorted((CHART / "ci").glob("*-values.yaml")))
MINIMAL = CHART / "ci" / "minimal-values.yaml"
EVERYTHING = CHART / "ci" / "everything-values.yaml"
SERVICE_MONITORS = "monitoring.coreos.com/v1/ServiceMonitor"

Object = dict[str, Any]


def template(
    helm: Helm, values: Path, changes: Mapping[str, Any] | None = None, *, monitors: bool = True
) -> tuple[int, str, str]:
    """Render: Helm's status, what it wrote, and what it complained of. `changes` are by dotted path."""
    options = [f"--set-json={path}={json.dumps(value)}" for path, value in (changes or {}).items()]
    options += ["--api-versions", SERVICE_MONITORS] if monitors else []
    result = helm("template", "try", CHART, "--namespace", "lab", "--values", values, *options)
    return result.returncode, result.stdout, result.stderr


def render(helm: Helm, values: Path, changes: Mapping[str, Any] | None = None) -> Sequence[Object]:
    """Every object that these values give, the test's pod included."""
    status, text, complaint = template(helm, values, changes)
    assert status == 0, complaint
    return [one for one in yaml.safe_load_all(text) if one is not None]


def only(objects: Sequence[Object], kind: str, suffix: str = "") -> Object:
    """The one object of a kind whose name ends so."""
    found = [one for one in objects if one["kind"] == kind and one["metadata"]["name"].endswith(suffix)]
    assert len(found) == 1, f"{len(found)} objects of kind {kind} are named *{suffix}"
    return found[0]


def pod_specs(objects: Sequence[Object]) -> dict[str, Object]:
    """Specs of all pods, by the name of what makes them."""
    return {
        f"{one['kind']}/{one['metadata']['name']}": one["spec"]
        if one["kind"] == "Pod"
        else one["spec"]["template"]["spec"]
        for one in objects
        if one["kind"] == "Pod" or "template" in one.get("spec", {})
    }


def server_container(objects: Sequence[Object]) -> Object:
    """The model server's only container."""
    (container,) = only(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    assert isinstance(container, dict)
    return container
