"""Small trained-like checkpoints, a server over them, and the same evaluation by the stage itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from parable.artifact import Artifact
from parable.store import ObjectStore
from services.model_server.app import create_app
from services.model_server.engine.options import EngineOptions
from services.model_server.engine.torch_engine import TorchEngine
from services.model_server.jobs.options import JobOptions
from services.model_server.models.resident import Limits
from services.model_server.models.stored import Place, StoredModels
from services.model_server.settings import ServerSettings
from tests.parable.inference import tiny
from tests.services.model_server.support import end_run, point, seal

QUICK = JobOptions(
    expire_seconds=1.5,
    renew_seconds=0.3,
    poll_seconds=0.1,
    patience_seconds=20,
    part_requests=8,
    batch_requests=4,
)
"""Times for tests; and parts so small that a job has many."""
SMALL = {
    "tasks": [{"name": "world", "items_per_cell": 2, "perplexity_documents": 3}],
    "settings": {"sampling": {"per_item": 2, "max_tokens": 6}},
}
"""16 items by three metrics, and 3 documents: 51 questions."""
NUM_SMALL = 51


def checkpoint(store: ObjectStore, folder: Path, seed: int) -> Artifact:
    """A Granite that reads 512 tokens, its weights drawn by a seed."""
    target = folder / f"model-{seed}"
    if not target.exists():
        tiny.save(str(target), seed=seed, positions=512)
    return seal(store, {path.name: path.read_bytes() for path in sorted(target.iterdir())})


def two_arms(store: ObjectStore, folder: Path, *, seeds: tuple[int, ...] = (0, 1)) -> dict[str, Artifact]:
    """Arms `plain` and `good`, each with these seeds: artifacts by alias."""
    end_run(store, ["plain", "good"], baseline="plain", seeds=seeds)
    found = {}
    for number, arm in enumerate(("plain", "good")):
        for seed in seeds:
            artifact = checkpoint(store, folder, seed + 10 * number)
            found[point(store, arm, [artifact], seed=seed)] = artifact
    return found


def application(store: ObjectStore, cache: Path, options: JobOptions, **settings: Any) -> FastAPI:
    """A server over the real engine and the real models."""
    engine = TorchEngine(EngineOptions(num_threads=1))
    models = StoredModels(
        store, engine, Place(cache=cache, limits=Limits(memory_bytes=2**28), poll_seconds=1.0)
    )
    told = ServerSettings(metrics_port=None, jobs=options, **settings)
    return create_app(told, engine=engine, models=models, store=store)


@asynccontextmanager
async def server(
    store: ObjectStore, cache: Path, options: JobOptions = QUICK, **settings: Any
) -> AsyncIterator[httpx.AsyncClient]:
    """A running server, and a client of it."""
    app = application(store, cache, options, **settings)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://127.0.0.1", timeout=60
        ) as client,
    ):
        yield client


async def submit(client: httpx.AsyncClient, body: dict[str, Any], **more: Any) -> str:
    """Ask for an evaluation; its id."""
    answer = await client.post("/v1/evaluations", json=body, **more)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def ended(client: httpx.AsyncClient, name: str, *, seconds: float = 120) -> dict[str, Any]:
    """The evaluation once it has ended."""
    async with asyncio.timeout(seconds):
        while True:
            answer = await client.get(f"/v1/evaluations/{name}")
            found: dict[str, Any] = answer.json()
            if found.get("status") in ("completed", "failed", "cancelled"):
                return found
            await asyncio.sleep(0.05)


async def evaluated(client: httpx.AsyncClient, body: dict[str, Any], **more: Any) -> str:
    """Ask for an evaluation and see it through; its id."""
    name = await submit(client, body, **more)
    found = await ended(client, name)
    assert found["status"] == "completed", found
    return name
