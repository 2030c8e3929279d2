"""From settings to an application over the real engine and a real store."""

import os
from contextlib import suppress
from pathlib import Path

import psutil
from fastapi import FastAPI

from parable.process import CGROUP_FOLDER
from parable.store import open_store
from services.model_server.app import create_app
from services.model_server.engine.base import Engine
from services.model_server.engine.options import EngineOptions
from services.model_server.engine.torch_engine import TorchEngine
from services.model_server.models.resident import Limits
from services.model_server.models.stored import Place, StoredModels
from services.model_server.settings import ServerSettings

_WEIGHT_BYTES = {"float32": 4, "bfloat16": 2}
_MEMORY_SHARE = 0.5
"""Of the machine's memory, what weights may take; keys, values and everything else need the rest."""


def build_app(settings: ServerSettings) -> FastAPI:
    """An application that serves the checkpoints of a store by the engine that the settings name.

    Raises:
        UserError: the store can't be opened, vLLM is asked for and not there, or the settings contradict
            each other.
    """
    settings.check()
    store = open_store(settings.store)
    memory_bytes = settings.memory_bytes or int(_MEMORY_SHARE * machine_bytes())
    engine = _engine(settings, memory_bytes)
    limits = Limits(
        memory_bytes=memory_bytes,
        weight_bytes=_WEIGHT_BYTES[settings.dtype],
        drain_seconds=settings.drain_seconds,
    )
    place = Place(cache=settings.cache or _default_cache(), limits=limits, cache_bytes=settings.cache_bytes)
    models = StoredModels(store, engine, place, default=settings.model)
    return create_app(settings, engine=engine, models=models, store=store)


def _engine(settings: ServerSettings, memory_bytes: int) -> Engine:
    if settings.engine == "vllm":
        from services.model_server.engine.vllm.engine import VllmEngine

        settings.vllm.check()
        return VllmEngine(
            settings.vllm,
            dtype=settings.dtype,
            num_threads=settings.num_threads,
            memory_bytes=memory_bytes,
        )
    return TorchEngine(
        EngineOptions(device=settings.device, dtype=settings.dtype, num_threads=settings.num_threads)
    )


def machine_bytes() -> int:
    """Memory that this process may use: the machine's, or what its control group leaves of it."""
    total = int(psutil.virtual_memory().total)
    for name in ("memory.max", "memory/memory.limit_in_bytes"):  # Version 2 of control groups, then 1.
        with suppress(OSError):
            limit = (CGROUP_FOLDER / name).read_text().strip()
            return min(total, int(limit)) if limit.isdigit() else total
    return total


def _default_cache() -> Path:
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "parable" / "models"
