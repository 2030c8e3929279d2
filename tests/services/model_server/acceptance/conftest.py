"""`parable serve` over a trained checkpoint, as a process of its own, for clients that know nothing of us."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from parable.artifact import Artifact
from parable.store import LocalStore
from tests.services.model_server.acceptance import grown
from tests.services.model_server.support import end_run, point, seal
from tests.support.process import answers, end, said, spawn

PROGRAMS = Path(sys.executable).parent


@dataclass(frozen=True, slots=True)
class Served:
    """A running server and what it serves.

    Attributes:
        url: Where it answers.
        model: The alias of its only model.
        folder: The same checkpoint as a folder on disk, for software that loads it itself.
        store: Where it is sealed.
        artifact: As which product.
        environment: Variables for a client's process: nothing is fetched, nothing written outside a
            temporary folder.
        log: The server's.
    """

    url: str
    model: str
    folder: Path
    store: LocalStore
    artifact: Artifact
    environment: dict[str, str]
    log: Path


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    root = tmp_path_factory.mktemp("acceptance")
    files = grown.model_files()
    folder = root / "model"
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    store = LocalStore(root / "store")
    end_run(store, ["grown"], baseline="grown")
    artifact = seal(store, files)
    model = point(store, "grown", [artifact])
    environment, log = _environment(root / "home"), root / "server.log"
    command = [str(PROGRAMS / "parable"), "serve", "--store", str(root / "store"), "--port", "0"]
    process = spawn(command, env=environment, log=log)
    try:
        url = said(process, log, r"Page: +(http://\S+)/\n")
        found = Served(url, model, folder, store, artifact, environment, log)
        ready = answers(process, f"{found.url}/health/ready", timeout_seconds=120)
        assert ready, found.log.read_text()
        yield found
        assert process.poll() is None, found.log.read_text()
    finally:
        end(process, timeout_seconds=40)


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.url, timeout=60, trust_env=False) as found:
        yield found


def _environment(home: Path) -> dict[str, str]:
    home.mkdir()
    offline = dict.fromkeys(("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"), "1")
    places = {f"XDG_{kind}_HOME": str(home / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA", "STATE")}
    alone = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "NO_PROXY": "127.0.0.1"}
    kept = {name: value for name, value in os.environ.items() if "PROXY" not in name.upper()}
    return {**kept, **offline, **places, **alone, "HOME": str(home), "OPENAI_API_KEY": "none"}
