"""A store for each test, in which the small recipe is mixed already."""

import shutil
from pathlib import Path

import pytest

from parable.store import LocalStore
from tests.components.pretrain.example import mixed, recipe


@pytest.fixture(scope="session")
def mixed_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mixed")
    mixed(LocalStore(folder), recipe(seeds=[0, 1]))
    return folder


@pytest.fixture
def store(tmp_path: Path, mixed_folder: Path) -> LocalStore:
    shutil.copytree(mixed_folder, tmp_path / "store")
    return LocalStore(tmp_path / "store")
