"""The API's description, and a page of it that asks nothing of any other site."""

from __future__ import annotations

import json
from typing import Any

import httpx

from services.model_server.api.docs import older
from tests.services.model_server.live import Live
from tests.support.browser import OpenPage


def test_every_route_is_described_with_its_refusals(client: httpx.Client) -> None:
    found = client.get("/openapi.json").json()
    assert found["openapi"].startswith("3.1")
    for path in ("/v1/completions", "/v1/chat/completions", "/v2/models/{name}/infer", "/tokenize"):
        responses = found["paths"][path]["post"]["responses"]
        assert {"200", "400", "401", "403", "404", "413", "429", "500", "503"} <= set(responses)
        assert "422" not in responses
    assert "HTTPValidationError" not in found["components"]["schemas"]


def test_an_older_library_reads_it_too(client: httpx.Client) -> None:
    found = client.get("/docs/openapi.json").json()
    assert found["openapi"] == "3.0.3"
    assert '"null"' not in json.dumps(found)
    assert '"const"' not in json.dumps(found)


def test_words_of_the_new_version_in_those_of_the_old() -> None:
    def said(**values: Any) -> Any:
        return older(values)

    assert said(anyOf=[{"type": "string"}, {"type": "null"}]) == {
        "allOf": [{"type": "string"}],
        "nullable": True,
    }
    assert said(const="a") == {"enum": ["a"]}
    assert said(exclusiveMinimum=0) == {"minimum": 0, "exclusiveMinimum": True}
    assert said(items=[{"const": 1}]) == {"items": [{"enum": [1]}]}


def test_a_browser_shows_it_under_the_strict_policy(live: Live, open_page: OpenPage) -> None:
    page = open_page(f"{live.url}/docs")
    page.wait_for_selector(".opblock")
    assert page.locator(".opblock-summary-path", has_text="/v1/completions").count() >= 1
    page.locator(".opblock-summary", has_text="/tokenize").first.click()
    page.get_by_text("Try it out").first.wait_for()


def test_only_the_page_s_files_are_there(client: httpx.Client) -> None:
    for name in ("index.html", "..%2f__init__.py", "swagger-ui.js.map"):
        assert client.get(f"/docs/swagger-ui/{name}").status_code == 404
