"""Models of a store, served for the length of a test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from parable.store import ObjectStore
from services.model_server.engine.base import Engine
from services.model_server.models.base import Models
from services.model_server.models.resident import Limits
from services.model_server.models.stored import Place, StoredModels
from tests.services.model_server.support import model_files

MODEL_BYTES = len(model_files()["model.safetensors"])


@asynccontextmanager
async def serving(
    store: ObjectStore,
    engine: Engine,
    place: Path,
    *,
    limits: Limits | None = None,
    cache_bytes: int = 10**9,
    default: str | None = None,
) -> AsyncIterator[StoredModels]:
    """Started models, stopped at the end; the store is looked through twenty times a second."""
    kept = Place(
        cache=place,
        limits=limits or Limits(memory_bytes=10 * MODEL_BYTES),
        cache_bytes=cache_bytes,
        poll_seconds=0.05,
    )
    models = StoredModels(store, engine, kept, default=default)
    await models.start()
    try:
        yield models
    finally:
        await models.stop()


async def meaning(models: Models, name: str) -> str:
    """The full name of what a name means, by asking for it."""
    async with models.lease(name) as served:
        return served.name
