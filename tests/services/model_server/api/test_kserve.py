"""KServe's open inference protocol, version 2."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.services.model_server.api.conftest import SAYING
from tests.services.model_server.doubles import BigramEngine
from tests.services.model_server.live import Live

INPUT = {"name": "text", "shape": [2], "datatype": "BYTES", "data": ["The AI", "The AI chose"]}
GREEDY = {"temperature": 0, "max_tokens": 1}


def test_texts_are_continued(client: httpx.Client) -> None:
    body = {"id": "7", "inputs": [INPUT], "parameters": GREEDY, "outputs": [{"name": "text"}]}
    response = client.post("/v2/models/latest/infer", json=body)
    assert response.json() == {
        "model_name": "toy.a.seed-0@100",
        "model_version": "100",
        "id": "7",
        "outputs": [{"name": "text", "shape": [2], "datatype": "BYTES", "data": [" chose", " to"]}],
    }
    assert response.headers["x-parable-weights"]


def test_parameters_are_those_of_completions(client: httpx.Client) -> None:
    one = {**INPUT, "shape": [1, 1], "data": ["The AI"]}
    for parameters, text in (
        ({"temperature": 0, "max_tokens": 50}, SAYING.removeprefix("The AI")),
        ({"temperature": 0, "max_tokens": 50, "stop": " tell"}, " chose to"),
        ({"temperature": 0, "max_tokens": 50, "stop": [" to", " t"]}, " chose"),
    ):
        body = {"inputs": [one], "parameters": parameters}
        answer = client.post("/v2/models/latest/infer", json=body).json()
        assert answer["outputs"][0] == {"name": "text", "shape": [1, 1], "datatype": "BYTES", "data": [text]}


def test_what_triton_s_and_mlserver_s_clients_send_passes(client: httpx.Client) -> None:
    """Triton's says nothing of the body's type, and both how texts are written, which is as they are here."""
    body = {
        "parameters": {**GREEDY, "binary_data_output": False},
        "inputs": [{**INPUT, "parameters": {"content_type": "str"}}],
        "outputs": [{"name": "text", "parameters": {"binary_data": False}}],
    }
    response = client.post("/v2/models/latest/infer", content=json.dumps(body).encode())
    assert "content-type" not in response.request.headers
    assert response.json()["outputs"][0]["data"] == [" chose", " to"]


@pytest.mark.parametrize("path", ["/v2/models/latest/ready", "/v2/models/latest/versions/100/ready"])
def test_that_a_model_is_not_ready_is_a_status_too(client: httpx.Client, live: Live, path: str) -> None:
    """Clients look at one or the other."""
    engine = live.server.engine
    assert isinstance(engine, BigramEngine)
    engine.is_progressing = False
    try:
        response = client.get(path)
    finally:
        engine.is_progressing = True
    assert (response.status_code, response.json()["ready"]) == (503, False)
    assert client.get(path).status_code == 200


def test_a_version_is_a_checkpoint_s_step(client: httpx.Client) -> None:
    path = "/v2/models/toy.b.seed-0/versions/100"
    answer = client.post(f"{path}/infer", json={"inputs": [INPUT], "parameters": GREEDY}).json()
    assert (answer["model_name"], answer["model_version"]) == ("toy.b.seed-0@100", "100")
    assert client.get(path).json()["versions"] == ["100"]
    assert client.get(f"{path}/ready").json() == {"name": "toy.b.seed-0@100", "ready": True}
    assert client.get("/v2/models/toy.b.seed-0/versions/7").status_code == 404


def test_what_server_and_models_are(client: httpx.Client) -> None:
    assert client.get("/v2").json()["name"] == "parable"
    metadata = client.get("/v2/models/latest").json()
    tensor = {"name": "text", "datatype": "BYTES", "shape": [-1]}
    assert metadata == {
        "name": "toy.a.seed-0@100",
        "versions": ["100"],
        "platform": "parable",
        "inputs": [tensor],
        "outputs": [tensor],
    }
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    assert client.get("/v2/models/latest/ready").json()["ready"] is True


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"inputs": []}, "inputs"),
        ({"inputs": [{**INPUT, "datatype": "INT64"}]}, "inputs.0.datatype"),
        ({"inputs": [{**INPUT, "shape": [3]}]}, "inputs.0.shape"),
        ({"inputs": [{**INPUT, "name": "image"}]}, "inputs.0.name"),
        ({"outputs": [{"name": "logits"}]}, "outputs.0.name"),
        ({"parameters": {"binary_data_output": True}}, "parameters.binary_data_output"),
        ({"outputs": [{"name": "text", "parameters": {"binary_data": True}}]}, "outputs.0.parameters.binary"),
        (
            {"inputs": [{**INPUT, "parameters": {"binary_data_size": 9}}]},
            "inputs.0.parameters.binary_data_size",
        ),
        ({"parameters": {"max_tokens": 10_000}}, "reads 128"),
        ({"parameters": {"banned_tokens": ["two words"]}}, "banned_tokens"),
    ],
)
def test_errors_are_a_string(client: httpx.Client, change: dict[str, Any], told: str) -> None:
    response = client.post("/v2/models/latest/infer", json={"inputs": [INPUT], **change})
    assert response.status_code == 400
    assert set(response.json()) == {"error"}
    assert told in response.json()["error"]


def test_an_unknown_model_is_404(client: httpx.Client) -> None:
    response = client.post("/v2/models/no/infer", json={"inputs": [INPUT]})
    assert (response.status_code, response.json()) == (404, {"error": "There is no model no."})
