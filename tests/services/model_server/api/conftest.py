"""Servers over the stand-in engine, and one over the real one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from services.model_server import ServerSettings
from services.model_server.build import build_app
from tests.services.model_server.doubles import BigramEngine, FixedModels, table
from tests.services.model_server.live import Live, run_app, run_live
from tests.services.model_server.support import two_models

SAYING = "The AI chose to tell the truth."


@pytest.fixture(scope="module")
def live() -> Iterator[Live]:
    """Two models; the first, `latest`, goes on from "The" to SAYING and ends."""
    engine = BigramEngine({"a": table(0, [SAYING]), "b": table(1)})
    with run_live(engine, FixedModels(("a", "b"))) as found:
        yield found


@pytest.fixture
def client(live: Live) -> Iterator[httpx.Client]:
    with live.client() as found:
        yield found


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """The torch engine over sealed checkpoints in a store."""
    from parable.store import open_store

    folder: Path = tmp_path_factory.mktemp("store")
    two_models(open_store(str(folder)), chat=True)
    settings = ServerSettings(store=str(folder), cache=folder / "cache", num_threads=1, metrics_port=None)
    with run_app(build_app(settings)) as found:
        yield found


@pytest.fixture(params=["stand-in", "torch"])
def either(request: pytest.FixtureRequest) -> Live:
    """What holds of one engine holds of the other."""
    found: Live = request.getfixturevalue("live" if request.param == "stand-in" else "real")
    return found
