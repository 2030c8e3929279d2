"""Counts and times, under names that dashboards for vLLM know but for the prefix."""

from __future__ import annotations

import httpx

from services.model_server import ServerSettings, create_app
from services.model_server.serve import _serve_metrics
from services.model_server.server import Server
from tests.services.model_server.doubles import BigramEngine, FixedModels, table
from tests.services.model_server.live import run_live

NAMES = [
    "parable_num_requests_running",
    "parable_num_requests_waiting",
    "parable_kv_cache_usage_perc",
    "parable_prompt_tokens_total",
    "parable_generation_tokens_total",
    "parable_request_success_total",
    "parable_time_to_first_token_seconds",
    "parable_request_queue_time_seconds",
    "parable_request_prefill_time_seconds",
    "parable_request_decode_time_seconds",
    "parable_e2e_request_latency_seconds",
    "parable_iteration_tokens_total",
]


def test_what_was_done_is_counted_on_a_port_of_its_own() -> None:
    settings = ServerSettings(metrics_port=0)
    with run_live(BigramEngine({"a": table(0)}), FixedModels(), settings) as live, live.client() as client:
        ask = {"model": "latest", "prompt": "The AI", "max_tokens": 3, "temperature": 0, "n": 2}
        assert client.post("/v1/completions", json=ask).status_code == 200
        assert client.post("/v1/completions", json={**ask, "n": 0}).status_code == 400
        assert (
            client.post("/v1/completions", json={**ask, "model": "made-up-by-the-client"}).status_code == 404
        )
        assert client.get("/metrics").status_code == 404
        told = httpx.get(f"http://127.0.0.1:{_serve_metrics(live.server)}/metrics", trust_env=False).text
    model = 'model_name="toy.a.seed-0@100"'
    assert f"parable_prompt_tokens_total{{{model}}} 2.0" in told
    assert f"parable_generation_tokens_total{{{model}}} 6.0" in told
    assert f'parable_request_success_total{{finished_reason="length",{model}}} 2.0' in told
    assert f"parable_time_to_first_token_seconds_count{{{model}}} 1.0" in told
    assert 'parable_http_requests_total{method="POST",route="/v1/completions",status="400"} 1.0' in told
    assert "parable_kv_cache_usage_perc 0.25" in told
    assert 'parable_num_requests_running{class="interactive"} 0.0' in told
    assert "made-up-by-the-client" not in told


def test_every_name_is_there() -> None:
    app = create_app(ServerSettings(), engine=BigramEngine({"a": table(0)}), models=FixedModels())
    server: Server = app.state.server
    families = {family.name for family in server.metrics.registry.collect()}
    assert [name for name in NAMES if not families & {name, name.removesuffix("_total")}] == []


def test_a_client_cannot_make_labels() -> None:
    with run_live(BigramEngine({"a": table(0)}), FixedModels()) as live, live.client() as client:
        for number in range(20):
            client.get(f"/no/such/path/{number}")
            client.request(f"METHOD{number}", "/v1/models")
        samples = [one for family in live.server.metrics.registry.collect() for one in family.samples]
    assert len([one for one in samples if one.name == "parable_http_requests_total"]) <= 4
