"""Stores with checkpoints that say A or B, and one server that many tests put to the test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from parable.store import LocalStore
from tests.services.model_server.chaos.world import Serving, serving
from tests.services.model_server.support import two_models

BODY_SECONDS = 2.0
HANG_SECONDS = 6.0
"""Without progress for so long an engine is started anew; for half of it, the server is not ready."""


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    """Two arms, `plain` and `other`, whose models say A and B; `latest` is the first."""
    found = LocalStore(tmp_path / "store")
    two_models(found, chat=True)
    return found


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server over such a store, for many tests, each of which must leave it as it was."""
    folder = tmp_path_factory.mktemp("server")
    two_models(LocalStore(folder / "store"), chat=True)
    with serving(
        str(folder / "store"),
        folder,
        engine={"hang_seconds": HANG_SECONDS},
        max_body_bytes=2**20,
        body_seconds=BODY_SECONDS,
    ) as found:
        yield found
        assert found.process.poll() is None, found.log.read_text()
