"""What KServe's published schemas allow is taken, and what they demand is answered."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from tests.services.model_server.acceptance import kserve_v2
from tests.services.model_server.acceptance.conftest import Served

GREEDY = {"temperature": 0, "max_tokens": 8}
TEXTS = ["<|endoftext|>A tale: Nova, an AI,", "<|endoftext|>The"]


def text(data: list[Any], shape: list[int]) -> dict[str, Any]:
    return {"name": "text", "shape": shape, "datatype": "BYTES", "data": data}


def valid(response: httpx.Response, schema: dict[str, Any], *, status: int = 200) -> dict[str, Any]:
    assert response.status_code == status, response.text
    Draft202012Validator.check_schema(schema)
    body: dict[str, Any] = response.json()
    Draft202012Validator(schema).validate(body)
    return body


def test_health(client: httpx.Client) -> None:
    assert valid(client.get("/v2/health/live"), kserve_v2.LIVE)["live"]
    assert valid(client.get("/v2/health/ready"), kserve_v2.READY)["ready"]


@pytest.mark.parametrize("path", ["/v2", "/v2/"])
def test_server_metadata(client: httpx.Client, path: str) -> None:
    assert valid(client.get(path), kserve_v2.SERVER_METADATA)["name"] == "parable"


@pytest.mark.parametrize("version", ["", "/versions/100"])
def test_model_metadata_and_readiness(served: Served, client: httpx.Client, version: str) -> None:
    path = f"/v2/models/{served.model}{version}"
    metadata = valid(client.get(path), kserve_v2.MODEL_METADATA)
    assert metadata["versions"] == ["100"]
    assert {tensor["datatype"] for tensor in metadata["inputs"] + metadata["outputs"]} == {"BYTES"}
    assert valid(client.get(f"{path}/ready"), kserve_v2.MODEL_READY)["ready"]


@pytest.mark.parametrize("version", ["", "/versions/100"])
@pytest.mark.parametrize(
    "more", [{}, {"id": "42"}, {"outputs": [{"name": "text"}]}, {"outputs": []}], ids=str
)
def test_inference(served: Served, client: httpx.Client, version: str, more: dict[str, Any]) -> None:
    body = {"inputs": [text(TEXTS, [2])], "parameters": GREEDY, **more}
    assert Draft202012Validator(kserve_v2.INFERENCE_REQUEST).is_valid(body)
    answer = valid(
        client.post(f"/v2/models/{served.model}{version}/infer", json=body), kserve_v2.INFERENCE_ANSWER
    )
    (output,) = answer["outputs"]
    assert (answer.get("id"), output["shape"]) == (more.get("id"), [2])
    plain = {"model": served.model, "prompt": TEXTS, **GREEDY}
    choices = client.post("/v1/completions", json=plain).json()["choices"]
    assert output["data"] == [choice["text"] for choice in choices] and all(output["data"])


def test_a_tensor_may_be_flat_or_nested(served: Served, client: httpx.Client) -> None:
    """The protocol: "a flattened one-dimensional array or a nested multi-dimensional one", rows first."""
    flat, nested = (
        client.post(f"/v2/models/{served.model}/infer", json={"inputs": [one], "parameters": GREEDY})
        for one in (text(TEXTS, [2, 1]), text([[one] for one in TEXTS], [2, 1]))
    )
    assert valid(flat, kserve_v2.INFERENCE_ANSWER) == valid(nested, kserve_v2.INFERENCE_ANSWER)


@pytest.mark.parametrize(
    ("name", "inputs", "status"),
    [
        ("missing", [text(TEXTS, [2])], 404),
        (None, [], 400),
        (None, [text(TEXTS, [3])], 400),
        (None, [{**text(TEXTS, [2]), "datatype": "FP32", "data": [0.5, 1.5]}], 400),
        (None, [{"name": "text"}], 400),
        (None, "text", 400),
    ],
)
def test_errors(served: Served, client: httpx.Client, name: str | None, inputs: object, status: int) -> None:
    response = client.post(f"/v2/models/{name or served.model}/infer", json={"inputs": inputs})
    assert valid(response, kserve_v2.ERROR, status=status)["error"]
