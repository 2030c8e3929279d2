"""A server over the real engine and two checkpoints, for the page of this folder's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from parable.store import open_store
from tests.services.model_server.jobs.example import QUICK, application, two_arms
from tests.services.model_server.live import Live, run_app


@pytest.fixture(scope="package")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Two arms with two seeds each, whose models all differ."""
    folder = tmp_path_factory.mktemp("page")
    store = open_store(str(folder / "store"))
    two_arms(store, folder, seeds=(0, 1))
    with run_app(application(store, folder / "cache", QUICK)) as live:
        yield live
