"""Hundreds of clients that hang up at any moment leave nothing behind."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.services.model_server.chaos.world import OTHER, PLAIN, Serving

NUM_CLIENTS = 300
LONGEST_SECONDS = 1.5
LONG = {"prompt": "The AI chose", "max_tokens": 120, "temperature": 0}
SCORE = {
    "prompt": ["The AI chose to tell the truth. " * 2] * 100,
    "echo": True,
    "logprobs": 5,
    "max_tokens": 1,
}
CHAT = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 100, "n": 4}
BODIES: list[tuple[str, dict[str, Any]]] = [
    ("/v1/completions", LONG),
    ("/v1/completions", {**LONG, "stream": True}),
    ("/v1/completions", {**LONG, "n": 8, "temperature": 1, "stream": True, "logprobs": 3}),
    ("/v1/completions", {**LONG, "prompt": ["The AI", "The fox"] * 4, "stream": True}),
    ("/v1/completions", {**LONG, "safe_beam": {}, "max_tokens": 60}),
    ("/v1/completions", SCORE),
    ("/v1/chat/completions", CHAT),
    ("/v1/chat/completions", {**CHAT, "stream": True}),
]


@pytest.fixture(autouse=True)
def unharmed(server: Serving) -> Iterator[None]:
    """Nothing is left that who comes next would wait for, and they are served by the same engine."""
    before = server.engine.pid
    yield
    server.wait_until_idle()
    with server.client() as client:
        answer = client.post("/v1/completions", json={**LONG, "model": PLAIN, "max_tokens": 5})
    assert (answer.status_code, answer.json()["choices"][0]["text"]) == (200, "AAAAA")
    assert server.engine.pid == before
    assert server.not_ready() is None


def test_a_storm_of_clients_that_hang_up(server: Serving) -> None:
    asyncio.run(_storm(server, stays=()))


def test_those_who_stay_get_their_answers_through_the_storm(server: Serving) -> None:
    answers = asyncio.run(_storm(server, stays=range(0, NUM_CLIENTS, 20)))
    assert [(answer.status_code, _text(answer)) for answer in answers] == [(200, "A" * 120)] * 15


async def _storm(server: Serving, *, stays: range | tuple[()]) -> list[httpx.Response]:
    async with server.async_client() as client:
        ask = {**LONG, "model": PLAIN}
        staying = [asyncio.create_task(client.post("/v1/completions", json=ask)) for _ in stays]
        await asyncio.gather(*(_hang_up(server, number) for number in range(NUM_CLIENTS)))
        return await asyncio.gather(*staying)


async def _hang_up(server: Serving, number: int) -> None:
    """Ask for something, read or don't, and go: half of them in order, half without a word."""
    draw = random.Random(number)
    url = httpx.URL(server.url)
    assert url.port is not None
    reader, writer = await asyncio.open_connection(url.host, url.port)
    path, body = draw.choice(BODIES)
    data = json.dumps({"model": draw.choice([PLAIN, OTHER]), **body}).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
    request = f"{head}content-length: {len(data)}\r\n\r\n".encode() + data
    cut = draw.random() < 0.1
    writer.write(request[: draw.randrange(len(request))] if cut else request)
    end = time.monotonic() + draw.uniform(0, LONGEST_SECONDS)
    reads = draw.random() < 0.7
    while (left := end - time.monotonic()) > 0:
        try:
            async with asyncio.timeout(left):
                if not reads:
                    await asyncio.sleep(left)
                elif not await reader.read(1000):
                    break
        except TimeoutError:
            break
    if draw.random() < 0.5:
        writer.transport.abort()
    else:
        writer.close()


def _text(answer: httpx.Response) -> str:
    return str(answer.json()["choices"][0]["text"])
