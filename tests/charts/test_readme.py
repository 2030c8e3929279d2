"""The chart's README and notes say what is so."""

from __future__ import annotations

import re

import pytest
import yaml

from tests.charts.chart import CHART, EVERYTHING, MINIMAL, SERVICE_MONITORS, only, render
from tests.charts.values_table import README, VALUES, read_values, readme_with_table
from tests.support.helm import Helm

TEXT = README.read_text(encoding="utf-8")


def test_the_table_of_values_is_fresh() -> None:
    assert readme_with_table(TEXT) == TEXT, "run `python -m tests.charts.values_table`"


def test_every_value_has_a_comment() -> None:
    values = read_values(VALUES.read_text(encoding="utf-8"))
    assert [one.name for one in values if not one.meaning] == []


def test_comments_belong_to_what_stands_right_below() -> None:
    text = "# Far.\n\n# A\n# group.\na:\n  # Inner.\n  b: {}\n  c: [1]\n# Last.\nd: x\n"
    assert [(one.name, one.default, one.meaning) for one in read_values(text)] == [
        ("a", ..., "A group."),
        ("a.b", {}, "Inner."),
        ("a.c", [1], ""),
        ("d", "x", "Last."),
    ]


def test_the_values_of_the_install_command_render(helm: Helm) -> None:
    (command,) = re.findall(r"^helm install .*?[^\\]\n", TEXT, re.M | re.S)
    settings = re.findall(r"--set (\S+)", command)
    assert len(settings) == 6
    result = helm("template", "try", CHART, *(f"--set={one}" for one in settings))
    assert result.returncode == 0, result.stderr
    versions = {CHART.name: yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]}
    assert f"--tag registry.example/parable:{versions['parable']} ." in TEXT


def test_the_keys_that_the_readme_makes_are_read(tmp_path: pytest.TempPathFactory) -> None:
    from services.model_server.access.keys import read_keys
    from services.model_server.access.scopes import Scope

    (line,) = re.findall(r'^echo "(\[.*\])" > keys.yaml$', TEXT, re.M)
    file = CHART.joinpath(str(tmp_path), "keys.yaml")
    file.write_text(line.replace("$KEY", "0" * 48))
    (key,) = read_keys(file)
    assert key.caller.scopes == set(Scope)


def test_the_notes_give_commands_that_fit(helm: Helm) -> None:
    notes = _notes(helm, "--values", str(MINIMAL))
    objects = render(helm, MINIMAL)
    service = only(objects, "Service", "-server")["metadata"]["name"]
    assert "kubectl get secret --namespace lab parable-store parable-keys" in notes
    assert (
        f"kubectl rollout status --namespace lab deployment/{only(objects, 'Deployment')['metadata']['name']}"
        in notes
    )
    assert "helm test try --namespace lab --logs" in notes
    assert f"kubectl port-forward --namespace lab service/{service} 8000:8000" in notes
    assert 'curl -H "Authorization: Bearer $KEY" http://127.0.0.1:8000/v1/models' in notes
    assert "evaluations/ and serving/ below it" in notes
    assert "WARNING" not in notes


def test_the_notes_warn_of_a_service_that_leads_outside(helm: Helm) -> None:
    notes = _notes(helm, "--values", str(EVERYTHING), "--set", "modelServer.serviceMonitor.enabled=false")
    assert "WARNING: a Service of type LoadBalancer leads out of the cluster without TLS" in notes
    assert "service/lab-server 8000:80" in notes
    assert """-o go-template='{{index .data "key" | base64decode}}'""" in notes


def _notes(helm: Helm, *arguments: str) -> str:
    result = helm(
        "install",
        "try",
        CHART,
        "--namespace",
        "lab",
        "--dry-run=client",
        "--disable-openapi-validation",
        *arguments,
    )
    assert result.returncode == 0, result.stderr
    assert SERVICE_MONITORS not in result.stdout
    return result.stdout.partition("NOTES:\n")[2]
