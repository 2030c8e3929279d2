"""The engine hangs or is killed under load: what it worked on fails, and nothing else."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
from collections import Counter
from functools import partial

import httpx
import openai
import pytest

from services.model_server.settings import ServerSettings
from tests.services.model_server.chaos.world import PLAIN, Serving
from tests.support.waiting import until

NUM_RUNNING = ServerSettings().interactive.running_requests
NUM_WAITING = 32
ASK = {"model": PLAIN, "prompt": "The AI chose", "max_tokens": 100, "temperature": 0}
RUNNING = 'parable_num_requests_running{class="interactive"}'
WAITING = 'parable_num_requests_waiting{class="interactive"}'


@pytest.mark.parametrize(
    ("kind", "stream"),
    [
        (signal.SIGKILL, True),
        (signal.SIGSTOP, False),
        pytest.param(signal.SIGKILL, False, marks=pytest.mark.slow),
        pytest.param(signal.SIGSTOP, True, marks=pytest.mark.slow),
    ],
)
def test_only_what_the_engine_worked_on_fails(server: Serving, kind: signal.Signals, stream: bool) -> None:
    """More than may run at once: those that run fail, those that wait are answered by the next engine."""
    before, restarts = server.engine, _restarts(server)
    before.suspend()  # So that none of them is finished before all have come.

    async def scenario() -> list[httpx.Response]:
        async with server.async_client() as client:
            asking = [
                asyncio.create_task(client.post("/v1/completions", json={**ASK, "stream": stream}))
                for _ in range(NUM_RUNNING + NUM_WAITING)
            ]
            await asyncio.to_thread(until, lambda: _queue(server) == (NUM_RUNNING, NUM_WAITING))
            if kind == signal.SIGKILL:
                before.kill()
            else:
                await asyncio.to_thread(until, lambda: "no progress" in (server.not_ready() or ""))
            return await asyncio.gather(*asking)

    answers = asyncio.run(scenario())
    read = _read_stream if stream else _read
    assert Counter(map(read, answers)) == {"engine_restarted": NUM_RUNNING, "A" * 100: NUM_WAITING}
    assert _restarts(server) == restarts + 1
    assert server.engine.pid != before.pid
    assert not before.is_running()
    assert server.not_ready() is None
    server.wait_until_idle()


@pytest.mark.slow
def test_a_client_that_tries_again_notices_nothing(server: Serving) -> None:
    """OpenAI's own: it waits as long as the answer says, and asks again."""

    async def scenario() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=2) as client:
            asking = [asyncio.create_task(client.completions.create(**ASK)) for _ in range(20)]  # type: ignore[call-overload]
            await asyncio.to_thread(until, lambda: server.metrics()[RUNNING] > 0)
            server.engine.kill()
            return [answer.choices[0].text for answer in await asyncio.gather(*asking)]

    restarts = _restarts(server)
    assert asyncio.run(scenario()) == ["A" * 100] * 20
    assert _restarts(server) == restarts + 1


@pytest.mark.slow
def test_an_engine_that_is_killed_again_and_again_comes_back(server: Serving) -> None:
    restarts = _restarts(server)
    for number in range(3):
        server.engine.kill()
        until(partial(_is_back, server, restarts + number + 1))
    with server.client() as client:
        assert _read(client.post("/v1/completions", json=ASK)) == "A" * 100


def _read(answer: httpx.Response) -> str:
    """The text, or the code of an error that says when to ask again."""
    if answer.status_code == 200:
        return str(answer.json()["choices"][0]["text"])
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    return str(answer.json()["error"]["code"])


def _read_stream(answer: httpx.Response) -> str:
    assert answer.status_code == 200
    *events, done, end = answer.text.split("\n\n")
    assert (done, end) == ("data: [DONE]", "")
    told = [json.loads(event.removeprefix("data: ")) for event in events if not event.startswith(":")]
    if "error" in told[-1]:
        return str(told[-1]["error"]["code"])
    return "".join(event["choices"][0]["text"] for event in told)


def _queue(server: Serving) -> tuple[int, int]:
    found = server.metrics()
    return int(found[RUNNING]), int(found[WAITING])


def _restarts(server: Serving) -> int:
    return int(server.metrics()["parable_engine_restarts_total"])


def _is_back(server: Serving, restarts: int) -> bool:
    return _restarts(server) == restarts and server.not_ready() is None


def test_a_model_that_the_next_engine_can_not_load_is_fetched_anew(server: Serving) -> None:
    """Its files have gone from the cache, say: whoever asks meanwhile is told to come again."""
    restarts = _restarts(server)
    (copies,) = (server.log.parent / "cache").iterdir()
    for copy in copies.iterdir():
        shutil.rmtree(copy)
    server.engine.kill()
    until(partial(_is_back, server, restarts + 1))
    with server.client() as client:
        outcomes = [_read(client.post("/v1/completions", json=ASK)) for _ in range(3)]
    assert outcomes[0] in ("engine_restarted", "A" * 100)
    assert outcomes[1:] == ["A" * 100] * 2
