"""More than can be done: some wait, some come again, nobody gets an error that is not meant for them."""

from __future__ import annotations

import asyncio
from collections import Counter

import httpx
import pytest

from services.model_server import ServerSettings
from services.model_server.engine.base import RequestClass
from services.model_server.settings import QueueBounds
from tests.services.model_server.doubles import BigramEngine, FixedModels, table
from tests.services.model_server.live import Live, run_live
from tests.support.waiting import PATIENCE_SECONDS, eventually

SMALL = QueueBounds(
    running_requests=2,
    running_tokens=1000,
    waiting_requests=3,
    waiting_tokens=300,
    patience_seconds=PATIENCE_SECONDS,
    deadline_seconds=2 * PATIENCE_SECONDS,
)
ASK = {"model": "latest", "prompt": "The AI", "max_tokens": 10, "temperature": 0}
SCORE = {**ASK, "max_tokens": 1, "echo": True, "logprobs": 1}


def test_past_the_bound_requests_come_again_and_the_others_are_served() -> None:
    engine, models = BigramEngine({"a": table(0)}), FixedModels()
    engine.held = frozenset({RequestClass.INTERACTIVE})

    async def storm(url: str) -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_SECONDS, trust_env=False) as client:
            asking = [asyncio.create_task(client.post("/v1/completions", json=ASK)) for _ in range(20)]
            await eventually(lambda: sum(one.done() for one in asking) >= 15)
            engine.held = frozenset()
            return await asyncio.gather(*asking)

    with run_live(engine, models, ServerSettings(interactive=SMALL)) as live:
        answers = asyncio.run(storm(live.url))
        assert (models.num_leases, live.server.num_active, engine.num_open) == (0, 0, 0)
    assert Counter(answer.status_code for answer in answers) == {200: 5, 429: 15}
    for answer in answers:
        if answer.status_code == 429:
            assert int(answer.headers["retry-after"]) >= 1
            assert answer.json()["error"]["type"] == "rate_limit_error"


def test_evaluation_that_waits_does_not_hold_up_the_others() -> None:
    engine = BigramEngine({"a": table(0)})
    engine.held = frozenset({RequestClass.EVALUATION})

    async def ask(live: Live) -> None:
        async with httpx.AsyncClient(base_url=live.url, timeout=PATIENCE_SECONDS, trust_env=False) as client:
            scores = [asyncio.create_task(client.post("/v1/completions", json=SCORE)) for _ in range(5)]
            await eventually(lambda: live.server.admission.num_waiting(RequestClass.EVALUATION) >= 3)
            assert (await client.post("/v1/completions", json={**ASK, "max_tokens": 1})).status_code == 200
            assert not any(score.done() for score in scores)
            engine.held = frozenset()
            assert {(await score).status_code for score in scores} == {200}

    with run_live(engine, FixedModels(), ServerSettings(evaluation=SMALL)) as live:
        asyncio.run(ask(live))


def test_what_can_never_fit_is_refused_for_good() -> None:
    settings = ServerSettings(interactive=SMALL)
    with run_live(BigramEngine({"a": table(0)}), FixedModels(), settings) as live, live.client() as client:
        response = client.post("/v1/completions", json={**ASK, "n": 100})
    assert (response.status_code, response.json()["error"]["code"]) == (400, "never_fits")


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/v1/completions", {"prompt": [[1] * 120] * 600, "echo": True, "logprobs": 20, "max_tokens": 1}),
        ("/v1/completions", {"prompt": [[1] * 120] * 8, "n": 128, "prompt_logprobs": 20}),
        ("/v1/completions", {"prompt": ["A tale"] * 8, "n": 128, "max_tokens": 120, "logprobs": 20}),
    ],
)
def test_an_answer_that_no_memory_would_hold_is_refused(path: str, fields: dict[str, object]) -> None:
    engine = BigramEngine({"a": table(0)})
    with run_live(engine, FixedModels()) as live, live.client() as client:
        response = client.post(path, json={"model": "latest", **fields})
    assert (response.status_code, response.json()["error"]["code"]) == (400, "never_fits")
    assert response.json()["error"]["param"] == "logprobs"
    assert engine.requests == []
