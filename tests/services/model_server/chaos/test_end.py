"""SIGTERM under load: what is under way is finished within the drain, evaluations are given to another."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from parable.store import LocalStore
from services.model_server.jobs.options import JobOptions
from tests.services.model_server.chaos import jobs
from tests.services.model_server.chaos.world import PLAIN, Serving, serving
from tests.support.waiting import PATIENCE_SECONDS, until

ASK: dict[str, Any] = {"model": PLAIN, "prompt": "The AI chose", "max_tokens": 120, "temperature": 0}
JOB = {**jobs.JOB, "tasks": [{"name": "world", "items_per_cell": 30, "perplexity_documents": 40}]}
"""As many questions as keep a server busy until it is told to end."""
QUICK = JobOptions(poll_seconds=0.2, part_requests=16, expire_seconds=3600.0)
"""Who waits until a claim expires does not go on with the job: it must be given back."""
NUM_CLIENTS = 12
"""Half of them stream."""


class Crowd(threading.Thread):
    """Clients that ask one thing after another until nobody takes a connection any more."""

    def __init__(self, server: Serving) -> None:
        super().__init__()
        self.outcomes: Counter[str] = Counter()
        self.told = threading.Event()
        """Set when the server has been told to end: what was sent before must be answered."""
        self._server = server

    def run(self) -> None:
        asyncio.run(self._all())

    async def _all(self) -> None:
        async with self._server.async_client() as client:
            await asyncio.gather(*(self._one(client, bool(n % 2)) for n in range(NUM_CLIENTS)))

    async def _one(self, client: httpx.AsyncClient, stream: bool) -> None:
        while True:
            was_told = self.told.is_set()
            try:
                answer = await client.post("/v1/completions", json={**ASK, "stream": stream})
            except httpx.TransportError as error:
                self.outcomes["refused" if was_told else repr(error)] += 1
                return
            if answer.status_code == 503:
                assert (answer.json()["error"]["code"], answer.headers["retry-after"]) == ("draining", "1")
                self.outcomes["draining"] += 1
                await asyncio.sleep(0.01)
                continue
            text = answer.text.count('"text":"A') * "A" if stream else answer.json()["choices"][0]["text"]
            whole = answer.text.endswith("data: [DONE]\n\n") if stream else text == "A" * 120
            self.outcomes["whole" if whole and answer.status_code == 200 else answer.text] += 1


def test_what_is_under_way_is_finished_and_the_evaluation_goes_on_elsewhere(
    store: LocalStore, tmp_path: Path
) -> None:
    with (
        serving(store.uri, tmp_path, jobs=QUICK) as one,
        serving(store.uri, tmp_path, jobs=QUICK) as two,
        one.client() as first,
        two.client() as second,
    ):
        name = _hold(first, one, two)
        crowd = Crowd(one)
        crowd.start()
        until(lambda: crowd.outcomes["whole"] > NUM_CLIENTS)
        engine = one.engine
        done = jobs.view(second, name)["progress"]["done"]
        crowd.told.set()
        one.process.send_signal(signal.SIGTERM)
        assert one.process.wait(PATIENCE_SECONDS) == 0
        crowd.join()
        assert not engine.is_running()
        until(lambda: jobs.view(second, name)["progress"]["done"] > done)
        jobs.wait_until_done(second, name)
        undisturbed = jobs.submit(second, "undisturbed", JOB)
        jobs.wait_until_done(second, undisturbed)
        jobs.assert_equal(jobs.rows(second, name), jobs.rows(second, undisturbed))
        assert one.process.stdout is not None
        assert one.process.stdout.read() == "ended\n"
    assert set(crowd.outcomes) <= {"whole", "draining", "refused"}, crowd.outcomes
    assert crowd.outcomes["refused"] == NUM_CLIENTS


def _hold(first: httpx.Client, one: Serving, two: Serving) -> str:
    """An evaluation that the first server works on."""
    psutil.Process(two.process.pid).suspend()
    name = jobs.submit(first, "disturbed", JOB)
    until(lambda: jobs.view(first, name)["progress"]["done"] > 0)
    psutil.Process(two.process.pid).resume()
    return name


@pytest.mark.slow
def test_an_evaluation_goes_on_where_it_was_after_a_restart(store: LocalStore, tmp_path: Path) -> None:
    with serving(store.uri, tmp_path, jobs=QUICK) as server, server.client() as client:
        name = jobs.submit(client, "disturbed", JOB)
        until(lambda: jobs.view(client, name)["progress"]["done"] > 0)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(PATIENCE_SECONDS) == 0
    with serving(store.uri, tmp_path, jobs=QUICK) as server, server.client() as client:
        assert 0 < jobs.view(client, name)["progress"]["done"] < jobs.view(client, name)["progress"]["total"]
        jobs.wait_until_done(client, name)


@pytest.mark.parametrize("stream", [pytest.param(False, marks=pytest.mark.slow), True])
def test_an_engine_that_hangs_does_not_hold_up_the_end(
    store: LocalStore, tmp_path: Path, stream: bool
) -> None:
    """What the drain is too short for gets an error that says so, and the process ends all the same."""
    with serving(store.uri, tmp_path, engine={"hang_seconds": 3600.0}, drain_seconds=1.0) as server:
        engine = server.engine
        engine.suspend()

        async def scenario() -> list[httpx.Response]:
            async with server.async_client() as client:
                body = {**ASK, "stream": stream}
                asking = [asyncio.create_task(client.post("/v1/completions", json=body)) for _ in range(8)]
                running = 'parable_num_requests_running{class="interactive"}'
                await asyncio.to_thread(until, lambda: server.metrics()[running] == 8)
                server.process.send_signal(signal.SIGTERM)
                return await asyncio.gather(*asking)

        answers = asyncio.run(scenario())
        assert server.process.wait(PATIENCE_SECONDS) == 0
        assert not engine.is_running()
    assert [answer.status_code for answer in answers] == [200 if stream else 503] * 8
    assert all('"code":"engine_restarted"' in answer.text for answer in answers)
