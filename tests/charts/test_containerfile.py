"""The image: locked, not root, on any base."""

from __future__ import annotations

import re
import tomllib

import pytest

from parable.image import BASE_IMAGE
from tests.charts.chart import CHART, MINIMAL, render, server_container
from tests.support.helm import Helm

ROOT = CHART.parents[1]
TEXT = (ROOT / "Containerfile").read_text(encoding="utf-8")
STAGES = re.split(r"^FROM ", TEXT, flags=re.M)[1:]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = PROJECT["project"]["optional-dependencies"]


def test_every_stage_is_on_the_base_that_can_be_replaced() -> None:
    assert [stage.splitlines()[0] for stage in STAGES] == ["${BASE} AS build", "${BASE}"]
    assert re.search(r"^ARG BASE=\S+$", TEXT.partition("\nFROM ")[0], re.M)


def test_the_last_stage_is_not_root_by_number() -> None:
    """A name would not do: the kubelet can't tell that it is not root."""
    assert re.findall(r"^USER (\S+)$", STAGES[-1], re.M) == ["10001:10001"]
    assert not re.search(r"\b(pip|uv|apt-get)\b", STAGES[-1])


def test_every_install_is_locked() -> None:
    installs = [re.split(r"&&|;", rest)[0] for rest in TEXT.split("pip install ")[1:]]
    assert len(installs) == 4
    locks = ("--require-hashes", "--constraints constraints.txt", "--no-deps")
    assert [one for one in installs if not any(lock in one for lock in locks)] == []


def test_it_holds_the_extras_that_exist() -> None:
    (default,) = re.findall(r"^ARG EXTRAS=(\S+)$", TEXT, re.M)
    assert set(default.split(",")) <= set(EXTRAS)
    (least,) = re.findall(r"`([a-z,]+)` is enough for the chart", TEXT)
    assert set(least.split(",")) <= set(EXTRAS)


def test_it_copies_every_package_of_the_project() -> None:
    packages = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    copied = re.findall(r"^COPY (\w+) \1$", TEXT, re.M)
    assert copied == packages
    sent = re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.M)
    (files,) = re.findall(r"^COPY (pyproject.*) \./$", TEXT, re.M)
    assert set(sent) == {*packages, *files.split()}


def test_it_serves_where_the_chart_looks(helm: Helm) -> None:
    container = server_container(render(helm, MINIMAL))
    (exposed,) = re.findall(r"^EXPOSE (.*)$", TEXT, re.M)
    assert exposed.split() == [str(port["containerPort"]) for port in container["ports"]]
    (entry,) = re.findall(r'^ENTRYPOINT \["(\w+)"\]$', TEXT, re.M)
    assert container["command"] == [entry]
    assert {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")} == {
        "/cache",
        "/tmp",
    }


def test_its_tag_is_the_projects_version() -> None:
    version = PROJECT["project"]["version"]
    assert BASE_IMAGE.endswith(f":{version}") or "@" in BASE_IMAGE
    assert f"--tag parable:{version} ." in TEXT


@pytest.mark.parametrize("key", ["version", "appVersion"])
def test_the_charts_version_is_the_projects(key: str) -> None:
    assert re.search(rf"^{key}: {PROJECT['project']['version']}$", (CHART / "Chart.yaml").read_text(), re.M)
