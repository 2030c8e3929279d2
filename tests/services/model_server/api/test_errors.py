"""Whatever is wrong, the answer says what, in a shape that clients know."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.routing import Route

from services.model_server.access.scopes import open_to_all
from services.model_server.engine.base import (
    DeadlineExceededError,
    EngineError,
    EngineRestartedError,
    RequestRefusedError,
)
from tests.services.model_server.doubles import BigramEngine, FixedModels, table
from tests.services.model_server.live import Live, run_live

OK = {"model": "latest", "prompt": "The", "max_tokens": 1}
JSON = {"content-type": "application/json"}


def _error(response: httpx.Response) -> dict[str, Any]:
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert response.headers["x-request-id"]
    error: dict[str, Any] = body["error"]
    return error


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"promt": "The"}, "promt"),
        ({"promt": "The", "prompt": None}, "promt"),
        ({"max-tokens": 5}, "max-tokens"),
        ({"safe_beam": {"max width": 2}}, "safe_beam.max width"),
        ({"logit_bias": {"5": 1}}, "logit_bias"),
        ({"presence_penalty": 0.5}, "presence_penalty"),
        ({"suffix": "x"}, "suffix"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": -1}, "temperature"),
        ({"temperature": "0.5"}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"n": 0}, "n"),
        ({"n": 1.5}, "n"),
        ({"n": True}, "n"),
        ({"echo": "yes"}, "echo"),
        ({"logprobs": 99}, "logprobs"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"stop": [""]}, "stop.0"),
        ({"stop": ["a"] * 33}, "stop"),
        ({"prompt": None}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": ["a", 1]}, "prompt"),
        ({"prompt": [True]}, "prompt"),
        ({"prompt": [-1]}, "prompt"),
        ({"prompt": [[1], "a"]}, "prompt"),
        ({"safe_beam": {"widht": 2}}, "safe_beam.widht"),
        ({"best_of_by": {}}, "best_of_by.draws"),
        ({"model": 5}, "model"),
    ],
)
def test_the_field_that_is_wrong_is_named(client: httpx.Client, fields: dict[str, Any], param: str) -> None:
    response = client.post("/v1/completions", json={**OK, **fields})
    assert (response.status_code, _error(response)["param"]) == (400, param)
    assert param.partition(".")[0] in _error(response)["message"]


@pytest.mark.parametrize(
    "fields", [{"logit_bias": {"5": 1}}, {"presence_penalty": 0.5}, {"frequency_penalty": -0.5}, {"min_p": 0}]
)
def test_one_that_is_not_supported_is_told_so_whether_its_name_is_known_or_not(
    client: httpx.Client, fields: dict[str, Any]
) -> None:
    (name,) = fields
    error = _error(client.post("/v1/completions", json={**OK, **fields}))
    assert (error["message"], error["code"]) == (f"Unsupported field {name}.", "unsupported_field")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"prompt": ' + b"9" * 10_000 + b"}",
        b'{"model": "latest", "prompt": "a", "temperature": 1e999}',
        b'{"model": "latest", "prompt": "a", "temperature": NaN}',
        b'{"model": "latest", "prompt": "\\ud800"}',
        b'{"model": "latest", "prompt": ["a", "\\ud800"]}',
        b'{"model": "latest", "prompt": "a", "\\ud800": 1}',
        b'{"model": "\\ud800", "prompt": "a"}',
        b'{"model": "latest", "prompt": "a", "stop": "\\ud800"}',
        b'{"model": "latest", "prompt": "a", "max_tokens": 1e400}',
        b'{"model": "latest", "prompt": "a", "n": 99999999999999999999999999}',
        b'{"model": "latest", "prompt": [' + b"1.5," * 10_000 + b"1]}",
    ],
)
def test_a_poisoned_body_is_refused_and_the_next_request_served(client: httpx.Client, body: bytes) -> None:
    response = client.post("/v1/completions", content=body, headers=JSON)
    assert (response.status_code, _error(response)["type"]) == (400, "invalid_request_error")
    assert client.post("/v1/completions", json=OK).status_code == 200


def test_a_huge_seed_is_a_seed(client: httpx.Client) -> None:
    assert client.post("/v1/completions", json={**OK, "seed": -(10**30)}).status_code == 200


def test_only_json_is_read(client: httpx.Client) -> None:
    """A form is what another site's page could send without asking."""
    response = client.post(
        "/v1/completions", content=b'{"model":"latest","prompt":"a"}', headers={"content-type": "text/plain"}
    )
    assert response.status_code == 400
    assert "content-type: application/json" in _error(response)["message"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/v1/models/no.such.model", 404, "model_not_found"),
        ("GET", "/v1/completions", 405, "wrong_method"),
        ("POST", "/v1/completions/", 404, "not_found"),
        ("GET", "/v1/%2e%2e/etc/passwd", 404, "not_found"),
    ],
)
def test_what_is_not_there(client: httpx.Client, method: str, path: str, status: int, code: str) -> None:
    response = client.request(method, path)
    assert (response.status_code, _error(response)["code"]) == (status, code)


def test_an_unknown_model_is_404_whatever_else_is_asked(client: httpx.Client) -> None:
    response = client.post("/v1/completions", json={**OK, "model": "gpt-5", "max_tokens": 10_000})
    assert (response.status_code, _error(response)["code"]) == (404, "model_not_found")


def test_a_wrong_method_is_told_the_right_ones(client: httpx.Client) -> None:
    assert client.get("/v1/completions").headers["allow"] == "POST"


@pytest.mark.parametrize(
    ("failure", "status", "retry"),
    [
        (EngineRestartedError("restarted"), 503, True),
        (DeadlineExceededError("late"), 503, True),
        (RequestRefusedError("not this"), 400, False),
        (EngineError("broken weights"), 500, False),
        (ZeroDivisionError("a fault of ours"), 500, False),
    ],
)
@pytest.mark.parametrize("fields", [{}, {"echo": True, "logprobs": 1, "temperature": 0}])
def test_what_the_engine_cannot_do_has_its_status(
    failure: Exception, status: int, retry: bool, fields: dict[str, Any]
) -> None:
    engine = BigramEngine({"a": table(0)})
    with run_live(engine, FixedModels()) as live, live.client() as client:
        engine.failure = failure
        response = client.post("/v1/completions", json={**OK, **fields})
        assert (response.status_code, "retry-after" in response.headers) == (status, retry)
        told = "its log says why" if isinstance(failure, ZeroDivisionError) else str(failure)
        assert told in _error(response)["message"]
        engine.failure = None
        assert client.post("/v1/completions", json=OK).status_code == 200
        assert live.server.models.num_leases == 0  # type: ignore[attr-defined]


def test_a_model_that_cannot_be_loaded_is_503() -> None:
    models = FixedModels()
    with run_live(BigramEngine({"a": table(0)}), models) as live, live.client() as client:
        models.unavailable = "its weights are not what was sealed"
        response = client.post("/v1/completions", json=OK)
    assert (response.status_code, _error(response)["code"]) == (503, "model_unavailable")
    assert response.headers["retry-after"]


def test_a_client_s_request_id_comes_back(client: httpx.Client) -> None:
    assert client.get("/nothing", headers={"x-request-id": "abc-1"}).headers["x-request-id"] == "abc-1"
    odd = client.get("/nothing", headers={"x-request-id": "a b<script>"}).headers["x-request-id"]
    assert odd.startswith("req-")


def test_a_server_s_own_fault_has_an_id_too(live: Live) -> None:
    async def broken(request: Request) -> None:
        raise RuntimeError("a fault of ours")

    live.app.router.routes.append(Route("/broken", open_to_all(broken)))
    with live.client() as client:
        response = client.get("/broken", headers={"x-request-id": "abc-2"})
    assert (response.status_code, response.headers["x-request-id"]) == (500, "abc-2")
    assert "fault of ours" not in response.text
    live.app.router.routes.pop()
