"""Two real servers over one real store: one is killed, the other goes on, and nothing shows it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from parable.store import ObjectStore
from parable.store.minio import MinioStore
from tests.services.model_server.jobs import example, program
from tests.support.minio_server import MinioServer
from tests.support.process import answers, end, said, spawn
from tests.support.waiting import until

BODY: dict[str, Any] = {
    "models": ["toy.plain.seed-0", "toy.good.seed-0"],
    "tasks": [{"name": "world", "items_per_cell": 12, "perplexity_documents": 10}],
    "settings": {"sampling": {"per_item": 2, "max_tokens": 6}},
}
OPTIONS = program.OPTIONS
NUM_QUESTIONS = 2 * (3 * 8 * 12 + 10)
Server = tuple[subprocess.Popen[bytes], httpx.Client]


@contextmanager
def servers(store: ObjectStore, minio: MinioServer, folder: Path, count: int) -> Iterator[list[Server]]:
    """So many servers, started together; the store is all that they share."""
    root = Path(__file__).resolve().parents[4]
    environment = {**os.environ, **minio.environment, "PYTHONPATH": str(root)}
    with ExitStack() as stack:
        started = []
        for number in range(count):
            command = [sys.executable, "-m", "tests.services.model_server.jobs.program", store.uri]
            log = folder / f"{number}.log"
            process = spawn([*command, str(folder / f"cache-{number}")], env=environment, log=log)
            stack.callback(end, process)
            started.append((process, log))
        addresses = [said(process, log, r"It is (http://\S+)\n") for process, log in started]
        for (process, _), address in zip(started, addresses, strict=True):
            assert answers(process, f"{address}/health/ready", timeout_seconds=200), "it did not start"
        yield [
            (process, stack.enter_context(httpx.Client(base_url=address, timeout=60)))
            for (process, _), address in zip(started, addresses, strict=True)
        ]


def view(client: httpx.Client, name: str) -> dict[str, Any]:
    answer = client.get(f"/v1/evaluations/{name}")
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


def submit(client: httpx.Client, key: str) -> str:
    answer = client.post("/v1/evaluations", json=BODY, headers={"Idempotency-Key": key})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def left(store: ObjectStore, name: str) -> dict[str, bytes]:
    folder = f"evaluations/jobs/work/{name}/"
    return {info.key.removeprefix(folder): store.get(info.key) for info in store.list(folder)}


def test_a_job_whose_server_is_killed_ends_as_if_nothing_had_been(
    minio: MinioServer, bucket: str, tmp_path: Path
) -> None:
    store = MinioStore.from_environment(bucket, "lab", minio.environment)
    example.two_arms(store, tmp_path, seeds=(0,))
    with servers(store, minio, tmp_path, 2) as ((first, one), (second, two)):
        # The second looks away for a moment, so that the first has the job for certain.
        os.kill(second.pid, signal.SIGSTOP)
        name = submit(one, "disturbed")
        until(lambda: view(one, name)["status"] == "running", seconds=200)
        os.kill(second.pid, signal.SIGCONT)
        until(lambda: view(two, name)["progress"]["done"] >= 40, seconds=200)
        assert view(two, name)["status"] == "running"
        killed = time.monotonic()
        first.kill()
        first.wait()
        before = view(two, name)["progress"]["done"]
        assert 40 <= before < NUM_QUESTIONS
        until(lambda: "claims/000002.json" in left(store, name), seconds=200)
        # The last time that it was renewed may be a while ago.
        assert time.monotonic() - killed > OPTIONS.expire_seconds / 2
        until(lambda: view(two, name)["status"] == "completed", seconds=200)
        assert view(two, name)["progress"] == {"done": NUM_QUESTIONS, "total": NUM_QUESTIONS}

        undisturbed = submit(two, "undisturbed")
        until(lambda: view(two, undisturbed)["status"] == "completed", seconds=200)
        rows = [row for model in BODY["models"] for row in all_rows(two, name, model)]
    disturbed, expected = left(store, name), left(store, undisturbed)
    claims = [key for key in disturbed if key.startswith("claims/")]
    assert claims == ["claims/000001.json", "claims/000002.json"]
    for key in claims:
        del disturbed[key]
    assert expected.pop("claims/000001.json")
    assert disturbed == expected
    asked = [(row["metric"], row["item"]) for row in rows]
    assert len(asked) == NUM_QUESTIONS
    assert len(set(asked)) == NUM_QUESTIONS / 2


def all_rows(client: httpx.Client, name: str, model: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    after: int | None = 0
    while after is not None:
        page = client.get(
            f"/v1/evaluations/{name}/rows", params={"model": model, "after": after, "limit": 77}
        ).json()
        rows += page["rows"]
        after = page["next"]
    return rows
