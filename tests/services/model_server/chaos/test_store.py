"""The store goes away under load and comes back: what is loaded is served all the while, nothing is lost."""

from __future__ import annotations

import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx

from parable.store.minio import MinioStore
from services.model_server.jobs.options import JobOptions
from tests.services.model_server.chaos import jobs
from tests.services.model_server.chaos.world import OTHER, PLAIN, Serving, serving
from tests.services.model_server.support import two_models
from tests.support.minio_server import MinioServer
from tests.support.waiting import until

ASK: dict[str, Any] = {"model": PLAIN, "prompt": "The AI chose", "max_tokens": 20, "temperature": 0}
OUTAGE_SECONDS = 3.0
QUICK = JobOptions(poll_seconds=0.2, part_requests=8, store_seconds=0.5)
JOB = {**jobs.JOB, "tasks": [{"name": "world", "items_per_cell": 10, "perplexity_documents": 10}]}


class Asking(threading.Thread):
    """One client after another."""

    def __init__(self, server: Serving) -> None:
        super().__init__()
        self.outcomes: Counter[tuple[int, str]] = Counter()
        self.ended = threading.Event()
        self._server = server

    def run(self) -> None:
        with self._server.client() as client:
            while not self.ended.is_set():
                answer = client.post("/v1/completions", json=ASK)
                self.outcomes[answer.status_code, answer.json()["choices"][0]["text"]] += 1


def test_an_outage_of_the_store_under_load(mortal_minio: MinioServer, tmp_path: Path) -> None:
    store = MinioStore.from_environment(mortal_minio.new_bucket(), "lab", mortal_minio.environment)
    two_models(store, chat=True)
    with (
        serving(store.uri, tmp_path, environment=mortal_minio.environment, jobs=QUICK) as server,
        server.client() as client,
    ):
        asking = Asking(server)
        asking.start()
        try:
            name = jobs.submit(client, "disturbed", JOB)
            until(lambda: jobs.view(client, name)["progress"]["done"] > 0)
            mortal_minio.kill()
            began, before = time.monotonic(), asking.outcomes.total()
            while time.monotonic() < began + OUTAGE_SECONDS or asking.outcomes.total() <= before + 10:
                _expect_outage(client, name)
            mortal_minio.start()
            # For a moment it says that it is ready, and takes nothing yet.
            until(lambda: client.get(f"/v1/evaluations/{name}").status_code == 200)
            jobs.wait_until_done(client, name)
            until(lambda: _text(client, OTHER) == "BBBBB")
        finally:
            asking.ended.set()
            asking.join()
        assert asking.outcomes.keys() == {(200, "A" * 20)}
        assert server.num_answers().keys() <= {"200", "202", "503"}
        undisturbed = jobs.submit(client, "undisturbed", JOB)
        jobs.wait_until_done(client, undisturbed)
        jobs.assert_equal(jobs.rows(client, name), jobs.rows(client, undisturbed))


def _expect_outage(client: httpx.Client, name: str) -> None:
    """Evaluations say that the store is away; what is loaded is listed and described as ever."""
    for answer in (
        client.get(f"/v1/evaluations/{name}"),
        client.get("/v1/evaluations"),
        client.post("/v1/evaluations", json=JOB, headers={"idempotency-key": "in the outage"}),
        client.post("/v1/completions", json={**ASK, "model": OTHER}),
    ):
        assert answer.status_code == 503, answer.text
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.json()["error"]["message"]
    assert client.get("/health/ready").status_code == 200
    assert client.get("/v1/models").status_code == 200
    assert client.get(f"/v1/models/{PLAIN}").status_code == 200


def _text(client: httpx.Client, model: str) -> str:
    answer = client.post("/v1/completions", json={**ASK, "model": model, "max_tokens": 5})
    return str(answer.json()["choices"][0]["text"]) if answer.status_code == 200 else answer.text
