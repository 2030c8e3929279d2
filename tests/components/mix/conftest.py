"""A store for each test, and no process but this one unless a test asks for more."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from parable.store import LocalStore


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


@pytest.fixture(autouse=True, scope="session")
def one_process() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("components.mix.stage.num_usable_cpus", lambda: 1)
        yield
