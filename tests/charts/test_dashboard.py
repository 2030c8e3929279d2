"""The Grafana dashboard asks for metrics that the server has, with labels that they carry."""

from __future__ import annotations

import json
import re

import pytest

from services.model_server.engine.base import EngineHealth
from services.model_server.telemetry.metrics import Metrics
from services.model_server.telemetry.record import RequestRecord
from tests.charts.chart import CHART, EVERYTHING, only, render
from tests.support.helm import Helm

DASHBOARD = json.loads((CHART / "dashboards" / "model-server.json").read_text(encoding="utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [target["expr"] for panel in PANELS for target in panel["targets"]]
# Prometheus adds them when it scrapes.
_ADDED_LABELS = {"namespace", "pod", "le"}
_BY_CLASS = ("num_requests_running", "num_requests_waiting")


def _known() -> dict[str, set[str]]:
    """Labels of every series that a scrape finds."""
    metrics = Metrics()
    health = EngineHealth(
        ready=True,
        progressing=True,
        seconds_since_progress=0.0,
        restarts=0,
        num_running=0,
        num_waiting=0,
        cache_usage=0.0,
    )
    metrics.watch(lambda: health, lambda: {name: {"interactive": 0.0} for name in _BY_CLASS})
    record = RequestRecord("id", method="POST", route="/v1/completions", model="m", queue_seconds=0.0)
    record.first_token_seconds = 0.1
    record.finish.append("stop")
    metrics.note(record, 200)
    return {
        sample.name: set(sample.labels) for family in metrics.registry.collect() for sample in family.samples
    }


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_asks_for_what_there_is(query: str) -> None:
    known = _known()
    series = re.findall(r"(parable_\w+)\{([^}]*)\}", query)
    assert series
    assert len(series) == len(re.findall(r"parable_\w+", query)), "each series is narrowed to what is chosen"
    grouped = set(re.findall(r"\w+", " ".join(re.findall(r"by \(([^)]*)\)", query))))
    for name, matchers in series:
        assert name in known, f"the server has no {name}"
        asked = set(re.findall(r"(\w+)=?[=~!]", matchers)) | grouped
        assert asked <= known[name] | _ADDED_LABELS, name


def test_every_metric_of_the_server_is_shown() -> None:
    shown = {re.sub(r"_(total|bucket)$", "", name) for name in re.findall(r"parable_\w+", " ".join(QUERIES))}
    families = {re.sub(r"_(total|bucket|count|sum|created)$", "", name) for name in _known()}
    assert shown == families


def test_panels_have_ids_of_their_own_units_words_and_room() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
    for panel in PANELS:
        assert panel["description"], panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]


def test_variables_that_are_used_are_there() -> None:
    text = json.dumps([DASHBOARD["panels"], DASHBOARD["templating"]])
    used = set(re.findall(r"\$\{?([a-z_]+)\}?", text)) - {"__rate_interval", "__range", "__all"}
    assert used == {one["name"] for one in DASHBOARD["templating"]["list"]}


def test_the_chart_brings_the_file_as_it_is(helm: Helm) -> None:
    found = only(render(helm, EVERYTHING), "ConfigMap", "-dashboard")
    assert json.loads(found["data"]["parable-model-server.json"]) == DASHBOARD
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
