"""Nobody waits, so nothing goes on: the engine's work ends with the client, and streams tell of their end."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import httpx
import pytest
from starlette.types import Message, Scope

from services.model_server import ServerSettings
from services.model_server.api.sse import EventStream
from services.model_server.engine.base import EngineRestartedError, RequestClass
from services.model_server.telemetry.record import RequestRecord
from tests.services.model_server.api.conftest import SAYING
from tests.services.model_server.doubles import BigramEngine, FixedModels, table
from tests.services.model_server.live import Live, run_live
from tests.support.waiting import until

LONG = {"model": "latest", "prompt": "A tale", "max_tokens": 100, "seed": 1}
CHAT = {"model": "latest", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 50, "seed": 1}


@pytest.fixture
def slow() -> Iterator[tuple[Live, BigramEngine]]:
    """Fifty tokens a second, and comments on a stream that is silent for longer than a fifth of one."""
    engine = BigramEngine({"a": table(0, [SAYING])}, step_seconds=0.02)
    settings = ServerSettings(keepalive_seconds=0.004)
    with run_live(engine, FixedModels(), settings) as live:
        yield live, engine


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/completions", LONG),
        ("/v1/completions", {**LONG, "stream": True}),
        ("/v1/completions", {**LONG, "n": 3, "prompt": ["A tale", "The"]}),
        ("/v1/completions", {**LONG, "echo": True, "logprobs": 1, "max_tokens": 1, "temperature": 0}),
        ("/v1/chat/completions", CHAT),
        ("/v1/chat/completions", {**CHAT, "stream": True}),
        (
            "/v2/models/latest/infer",
            {"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["A tale"]}]}
            | {"parameters": {"max_tokens": 100}},
        ),
    ],
)
def test_when_the_client_hangs_up_the_work_ends(
    slow: tuple[Live, BigramEngine], path: str, body: dict[str, Any]
) -> None:
    live, engine = slow
    num = 2 if body.get("n") else 1
    if body.get("stream"):
        with live.client() as client, client.stream("POST", path, json=body) as answer:
            next(answer.iter_lines())
    else:
        engine.held = frozenset(RequestClass)
        with _sent(live, path, body):
            until(lambda: engine.num_open == num)
    until(lambda: engine.num_open == 0 and engine.num_cancelled == num)
    until(lambda: live.server.models.num_leases == live.server.num_active == 0)  # type: ignore[attr-defined]


def _sent(live: Live, path: str, body: dict[str, Any]) -> socket.socket:
    """A connection on which something has been asked."""
    url, data = httpx.URL(live.url), json.dumps(body).encode()
    assert url.port is not None
    connection = socket.create_connection((url.host, url.port))
    head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
    connection.sendall(f"{head}content-length: {len(data)}\r\n\r\n".encode() + data)
    return connection


def test_a_stop_string_ends_the_work_too(slow: tuple[Live, BigramEngine]) -> None:
    live, engine = slow
    with live.client() as client:
        asked = {"model": "latest", "prompt": "The AI", "max_tokens": 50, "stop": " to", "temperature": 0}
        assert client.post("/v1/completions", json=asked).json()["choices"][0]["text"] == " chose"
    until(lambda: engine.num_cancelled == 1)


def test_tokens_come_as_they_are_made_and_silence_is_filled(slow: tuple[Live, BigramEngine]) -> None:
    live, _ = slow
    times, comments = [], 0
    with (
        live.client() as client,
        client.stream("POST", "/v1/completions", json={**LONG, "stream": True}) as answer,
    ):
        for line in answer.iter_lines():
            if line.startswith("data: {"):
                times.append(time.monotonic())
            comments += line.startswith(":")
    assert len(times) > 20
    assert times[-1] - times[0] > 0.5
    assert comments > 20


def test_a_failure_midway_is_an_event_and_the_last_but_done(slow: tuple[Live, BigramEngine]) -> None:
    live, engine = slow
    with (
        live.client() as client,
        client.stream("POST", "/v1/completions", json={**LONG, "stream": True}) as answer,
    ):
        lines = []
        for line in answer.iter_lines():
            lines.append(line)
            if len(lines) == 8:
                engine.failure = EngineRestartedError("the engine went down")
    *_, last, blank, done, end = [line for line in lines if not line.startswith(":")]
    assert (blank, done, end) == ("", "data: [DONE]", "")
    assert json.loads(last.removeprefix("data: "))["error"]["code"] == "engine_restarted"
    assert answer.status_code == 200


def test_a_stream_that_ends_while_its_comment_is_not_taken_lets_go_of_all_it_holds() -> None:
    told: list[str] = []

    async def events() -> AsyncGenerator[bytes, None]:
        try:
            await asyncio.Event().wait()
            yield b""
        finally:
            told.append("closed")

    async def release() -> None:
        told.append("released")

    async def run() -> None:
        blocked = asyncio.Event()

        async def receive() -> Message:
            await blocked.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.body":
                blocked.set()
                await asyncio.Event().wait()

        scope: Scope = {}
        RequestRecord("a").put(scope)
        await EventStream(events(), release=release, keepalive_seconds=0.001)(scope, receive, send)

    asyncio.run(run())
    assert told == ["closed", "released"]
