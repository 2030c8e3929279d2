"""A program: the server over the real engine and a real store. Its argument is a `Told` as JSON.

It says its ports as a line of JSON, and `ended` in the end.
"""

from __future__ import annotations

import json
import sys

from pydantic import BaseModel, ConfigDict

from parable.store import open_store
from services.model_server import ServerSettings, create_app, run_server
from services.model_server.engine.options import EngineOptions
from services.model_server.engine.torch_engine import TorchEngine
from services.model_server.models.resident import Limits
from services.model_server.models.stored import Place, StoredModels


class Told(BaseModel):
    """What `build_app` makes of settings, with the times that only a test can't wait for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    settings: ServerSettings
    engine: EngineOptions
    memory_bytes: int
    poll_seconds: float


def main() -> None:
    told = Told.model_validate_json(sys.argv[1], strict=False)
    settings = told.settings
    assert settings.cache is not None
    store, engine = open_store(settings.store), TorchEngine(told.engine)
    limits = Limits(memory_bytes=told.memory_bytes, drain_seconds=settings.drain_seconds)
    place = Place(cache=settings.cache, limits=limits, poll_seconds=told.poll_seconds)
    models = StoredModels(store, engine, place, default=settings.model)
    app = create_app(settings, engine=engine, models=models, store=store)
    run_server(app, on_start=lambda *ports: _say(json.dumps(ports)))
    _say("ended")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
