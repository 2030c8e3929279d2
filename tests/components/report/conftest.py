from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.report.evidence import Evidence, gather
from parable.catalog import Catalog
from parable.recipe import Recipe
from parable.store import LocalStore
from tests.components.report.products import experiment

Experiment = tuple[Recipe, LocalStore, Catalog]


@pytest.fixture(scope="session", autouse=True)
def _hurry() -> Iterator[None]:
    """Made-up products need not survive a power cut: thousands of flushes would take most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda _: None)
        yield


@pytest.fixture(scope="session")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    """The recipe with three seeds, in which seed 1 of the filtered arm has no link; not to be written to."""
    return experiment(tmp_path_factory.mktemp("store"))


@pytest.fixture
def stored(measured: Experiment, tmp_path: Path) -> Experiment:
    """The same in a store of the test's own."""
    recipe, store, catalog = measured
    shutil.copytree(store.root, tmp_path / "store")
    return recipe, LocalStore(tmp_path / "store"), catalog


@pytest.fixture(scope="session")
def evidence(measured: Experiment) -> Evidence:
    """What the page is made of."""
    return gather(*measured)
