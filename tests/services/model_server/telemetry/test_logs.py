"""One line of JSON a request, without what was asked unless that was asked for."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest

from services.model_server import ServerSettings
from services.model_server.telemetry.logs import JsonFormatter, set_up_logs
from tests.services.model_server.doubles import BigramEngine, FixedModels, ids, table
from tests.services.model_server.live import run_live

SECRET = "The AI chose to hide"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("parable.requests")
    logger.addHandler(handler)
    logger.setLevel("INFO")
    yield stream
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


def _ask(settings: ServerSettings, log: io.StringIO) -> dict[str, Any]:
    with run_live(BigramEngine({"a": table(0)}), FixedModels(), settings) as live, live.client() as client:
        ask = {"model": "latest", "prompt": SECRET, "max_tokens": 2, "temperature": 0}
        client.post("/v1/completions", json=ask, headers={"x-request-id": "abc", "x-irid": "inspect-7"})
        client.post("/v1/completions", json={"prompt": SECRET})
    first, *_ = log.getvalue().splitlines()
    found: dict[str, Any] = json.loads(first)
    return found


def test_a_request_is_a_line(log: io.StringIO) -> None:
    line = _ask(ServerSettings(), log)
    assert {
        name: line[name] for name in ("event", "request_id", "irid", "route", "status", "caller", "model")
    } == {
        "event": "request",
        "request_id": "abc",
        "irid": "inspect-7",
        "route": "/v1/completions",
        "status": 200,
        "caller": "local",
        "model": "toy.a.seed-0@100",
    }
    assert (line["prompt_tokens"], line["generation_tokens"], line["finish"]) == (
        len(ids(SECRET)),
        2,
        ["length"],
    )
    assert line["class"] == "interactive" and line["seconds"] > 0 and line["weights"]


def test_prompts_are_not_in_it(log: io.StringIO) -> None:
    _ask(ServerSettings(), log)
    assert "hide" not in log.getvalue()


def test_unless_the_server_was_told_so(log: io.StringIO) -> None:
    assert _ask(ServerSettings(log_prompts=True), log)["prompts"] == [SECRET]


def test_everything_else_is_json_too() -> None:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    stream = io.StringIO()
    try:
        set_up_logs("INFO", stream)
        try:
            raise ZeroDivisionError("a fault")
        except ZeroDivisionError:
            logging.getLogger("somebody.else").exception("it %s", "broke")
        logging.getLogger("somebody.else").debug("not told")
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    (line,) = map(json.loads, stream.getvalue().splitlines())
    assert (line["level"], line["logger"], line["message"]) == ("error", "somebody.else", "it broke")
    assert "ZeroDivisionError: a fault" in line["exception"]


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_at_a_terminal_it_is_plain_and_without_the_page_s_files() -> None:
    root, lifecycle = logging.getLogger(), logging.getLogger("uvicorn.error")
    before = root.handlers[:], root.level, lifecycle.level
    stream = _Terminal()
    try:
        set_up_logs("INFO", stream)
        with run_live(BigramEngine({"a": table(0)}), FixedModels()) as live, live.client() as client:
            client.get("/page/app.js")
            client.get("/page/no.js")
            ask = {"model": "latest", "prompt": "The AI", "max_tokens": 2, "temperature": 0}
            client.post("/v1/completions", json=ask)
            client.post("/v1/completions", json={**ask, "max_tokens": -1})
    finally:
        root.handlers[:], root.level, lifecycle.level = before
    said = [re.sub(r"^\d\d:\d\d:\d\d |\d\.\d\d", "", line) for line in stream.getvalue().splitlines()]
    assert [line for line in said if "/" in line and "health" not in line] == [
        "GET /page/{name} 404 in  s: not_found",
        f"POST /v1/completions 200 in  s, toy.a.seed-0@100, {len(ids('The AI'))} + 2 tokens",
        "POST /v1/completions 400 in  s: invalid_value",
    ]
