"""What stands before every route."""

from __future__ import annotations

import json
import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.requests import Request
from starlette.routing import BaseRoute, Route

from services.model_server import ServerSettings
from services.model_server.access.guard import MOST_BODIES
from services.model_server.access.keys import LOOK_SECONDS
from services.model_server.access.scopes import Scope, needs_of
from tests.services.model_server.doubles import BigramEngine, FixedModels, table
from tests.services.model_server.live import Live, run_live
from tests.support.waiting import PATIENCE_SECONDS, until

KEYS = {scope: f"a-long-key-for-{scope}" for scope in Scope}
OPEN = {
    "/health/live",
    "/health/ready",
    "/v2/health/live",
    "/v2/health/ready",
    "/docs",
    "/docs/start.js",
    "/docs/openapi.json",
    "/docs/swagger-ui/{name}",
}
PAGE = {"/", "/favicon.ico"}
"""Open too, where the page is there, with what lies under /page."""
ASK = {"model": "latest", "prompt": "The", "max_tokens": 1}


@pytest.fixture(scope="module")
def live() -> Iterator[Live]:
    """On a loopback address without keys."""
    settings = ServerSettings(max_body_bytes=10_000, body_seconds=2 * PATIENCE_SECONDS)
    with run_live(BigramEngine({"a": table(0)}), FixedModels(), settings) as found:
        yield found


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """With one key for each scope."""
    path: Path = tmp_path_factory.mktemp("keys") / "keys.json"
    path.write_text(json.dumps([{"name": s, "scopes": [s], "key": key} for s, key in KEYS.items()]))
    settings = ServerSettings(keys_file=path)
    with run_live(BigramEngine({"a": table(0)}), FixedModels(), settings) as found:
        yield found


def _routes(live: Live) -> list[BaseRoute]:
    return list(live.app.router.routes)


def _key(scope: str) -> dict[str, str]:
    return {"authorization": f"Bearer {KEYS[Scope(scope)]}"}


# --- keys --------------------------------------------------------------------------------------------


def test_every_route_says_what_it_needs_and_only_health_and_shells_are_open(keyed: Live) -> None:
    for route in _routes(keyed):
        path = getattr(route, "path", None)
        assert path is not None, f"{route} is no plain route, and would not be guarded"
        needs = needs_of(route)
        assert needs is not None, f"{path} says nothing of who may call it"
        if needs.is_open:
            assert path in OPEN | PAGE or path.startswith("/page/"), f"{path} is open"


def test_without_a_key_every_closed_route_is_401_and_with_a_wrong_one_too(keyed: Live) -> None:
    num = 0
    with keyed.client() as client:
        for route in _routes(keyed):
            needs = needs_of(route)
            if needs is not None and needs.is_open:
                continue
            for method in getattr(route, "methods", ()):
                path = getattr(route, "path", "").replace("{", "").replace("}", "")
                for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Basic YTpi"}):
                    response = client.request(method, path, headers=headers)
                    assert response.status_code == 401, (method, path)
                    assert response.headers["www-authenticate"] == "Bearer"
                    num += 1
    assert num > 40


def test_each_route_takes_its_own_scopes_and_no_other(keyed: Live) -> None:
    with keyed.client() as client:
        for route in _routes(keyed):
            needs = needs_of(route)
            assert needs is not None
            if needs.is_open:
                continue
            path = getattr(route, "path", "").replace("{", "").replace("}", "")
            for scope in Scope:
                if scope in needs.scopes:
                    continue
                for method in getattr(route, "methods", ()):
                    response = client.request(method, path, headers=_key(scope))
                    assert response.status_code == 403, (method, path, scope)


def test_a_route_that_says_nothing_is_closed_to_everyone(keyed: Live) -> None:
    async def forgotten(request: Request) -> None:
        raise AssertionError(request)

    keyed.app.router.routes.insert(0, Route("/forgotten", forgotten))
    with keyed.client() as client:
        statuses = {client.get("/forgotten", headers=_key(scope)).status_code for scope in Scope}
        assert (statuses, client.get("/forgotten").status_code) == ({403}, 401)
    del keyed.app.router.routes[0]


def test_a_key_opens_what_its_scope_allows(keyed: Live) -> None:
    with keyed.client() as client:
        assert client.post("/v1/completions", json=ASK, headers=_key("infer")).status_code == 200
        assert client.post("/v1/completions", json=ASK, headers=_key("admin")).status_code == 403
        assert client.get("/admin/rollouts", headers=_key("admin")).status_code == 200
        assert client.get("/v1/models", headers=_key("evaluate")).status_code == 200


def test_what_is_not_there_is_not_told_to_strangers(keyed: Live) -> None:
    with keyed.client() as client:
        assert client.get("/nothing").status_code == 401
        assert client.get("/nothing", headers=_key("infer")).status_code == 404
        assert client.get("/v1/completions", headers=_key("infer")).status_code == 405


def test_with_keys_any_host_and_page_may_ask(keyed: Live) -> None:
    """A page of another site has no key, and the browser adds none."""
    headers = {**_key("infer"), "host": "models.example", "origin": "https://elsewhere.example"}
    with keyed.client() as client:
        response = client.post("/v1/completions", json=ASK, headers=headers)
    assert response.status_code == 200
    assert "access-control-allow-origin" not in response.headers


def test_an_old_key_is_refused_once_the_file_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    entry = {"name": "alice", "scopes": ["infer"]}
    path.write_text(json.dumps([{**entry, "key": "the-old-long-key"}]))
    with (
        run_live(BigramEngine({"a": table(0)}), FixedModels(), ServerSettings(keys_file=path)) as live,
        live.client(authorization="Bearer the-old-long-key") as client,
    ):
        assert client.get("/v1/models").status_code == 200
        path.write_text(json.dumps([{**entry, "key": "the-new-long-key"}]))
        live.server.keys._looked -= LOOK_SECONDS  # type: ignore[union-attr]
        assert client.get("/v1/models").status_code == 401
        assert (
            client.get("/v1/models", headers={"authorization": "bearer the-new-long-key"}).status_code == 200
        )


def test_keys_are_declared_in_the_description(keyed: Live) -> None:
    with keyed.client() as client:
        found = client.get("/openapi.json", headers=_key("infer")).json()
    assert found["paths"]["/v1/completions"]["post"]["security"] == [{"key": []}]
    assert "security" not in found["paths"]["/health/live"]["get"]


# --- without keys ------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "LOCALHOST"])
def test_without_keys_it_answers_by_the_names_of_this_machine(live: Live, host: str) -> None:
    with live.client(host=f"{host}:{urlsplit(live.url).port}") as client:
        assert client.get("/v1/models").status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example:8000", "localhost.evil:80", "", "10.0.0.1"]
)
def test_a_name_that_was_made_to_point_here_gets_nowhere(live: Live, host: str) -> None:
    with live.client(host=host) as client:
        for path in ("/v1/models", "/health/ready", "/docs"):
            response = client.get(path)
            assert (response.status_code, response.json()["error"]["code"]) == (403, "wrong_host")


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost:1", "https://127.0.0.1"]
)
def test_a_page_of_another_site_gets_nowhere(live: Live, origin: str) -> None:
    with live.client(origin=origin) as client:
        assert client.post("/v1/completions", json=ASK).json()["error"]["code"] == "wrong_origin"


def test_its_own_page_gets_an_answer(live: Live) -> None:
    with live.client(origin=live.url) as client:
        assert client.post("/v1/completions", json=ASK).status_code == 200


# --- bodies ------------------------------------------------------------------------------------------


def test_a_body_that_is_too_large_is_refused_before_it_is_read(live: Live) -> None:
    port = urlsplit(live.url).port
    with socket.create_connection(("127.0.0.1", port)) as raw:
        raw.sendall(
            b"POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            b"content-length: 10001\r\n\r\n{"
        )
        assert raw.recv(12) == b"HTTP/1.1 413"


def test_one_that_does_not_say_its_size_is_cut_off(live: Live) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(20):
            yield b" " * 1000

    with live.client() as client:
        response = client.post(
            "/v1/completions", content=chunks(), headers={"content-type": "application/json"}
        )
    assert (response.status_code, response.json()["error"]["code"]) == (413, "body_too_large")
    assert response.json()["error"]["type"] == "invalid_request_error"


def test_one_that_does_not_come_is_not_waited_for() -> None:
    settings = ServerSettings(body_seconds=0.3)
    with run_live(BigramEngine({"a": table(0)}), FixedModels(), settings) as live:
        port = urlsplit(live.url).port
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS) as raw:
            raw.sendall(
                b"POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
                b"content-length: 100\r\n\r\n{"
            )
            assert raw.recv(12) == b"HTTP/1.1 408"


def test_all_bodies_together_have_a_bound_and_are_let_go_with_their_requests(live: Live) -> None:
    port = urlsplit(live.url).port
    head = b"POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10000\r\n\r\n"
    with ExitStack() as stack:
        address = ("127.0.0.1", port)
        raws = [stack.enter_context(socket.create_connection(address)) for _ in range(MOST_BODIES + 1)]
        for raw in raws:
            raw.sendall(head + b"{" * 9_900)
        answered, _, _ = select.select(raws, [], [], PATIENCE_SECONDS)
        assert [raw.recv(12) for raw in answered] == [b"HTTP/1.1 503"]
        assert live.server.body_bytes > 0
    until(lambda: live.server.body_bytes == 0)
    with live.client() as client:
        assert client.post("/v1/completions", json=ASK).status_code == 200


def test_under_v2_too(live: Live) -> None:
    with live.client() as client:
        response = client.post("/v2/models/latest/infer", json={"inputs": "x" * 10_000})
    assert (response.status_code, set(response.json())) == (413, {"error"})


# --- browsers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/docs", "/v1/models", "/nothing", "/health/live"])
def test_every_answer_keeps_browsers_in_bounds(live: Live, path: str) -> None:
    with live.client() as client:
        headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'") and "unsafe" not in policy and "http" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert "access-control-allow-origin" not in headers
    assert "server" not in headers


def test_other_sites_may_call_only_where_they_are_named(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text(json.dumps([{"name": "a", "scopes": ["infer"], "key": "a-long-enough-key"}]))
    settings = ServerSettings(keys_file=path, cors_origins=("https://lab.example",))
    asked: dict[str, Any] = {
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization",
    }
    with run_live(BigramEngine({"a": table(0)}), FixedModels(), settings) as live, live.client() as client:
        allowed = client.options("/v1/completions", headers={"origin": "https://lab.example", **asked})
        refused = client.options("/v1/completions", headers={"origin": "https://evil.example", **asked})
        headers = {"origin": "https://lab.example", "authorization": "Bearer a-long-enough-key"}
        answer = client.post("/v1/completions", json=ASK, headers=headers)
    assert allowed.headers["access-control-allow-origin"] == "https://lab.example"
    assert "access-control-allow-origin" not in refused.headers
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "https://lab.example")


def test_no_web_socket_is_opened(live: Live) -> None:
    with live.client() as client:
        upgrade = {"connection": "upgrade", "upgrade": "websocket", "sec-websocket-version": "13"}
        response: httpx.Response = client.get("/v1/models", headers={**upgrade, "sec-websocket-key": "YQ=="})
    assert response.status_code == 200
