"""A training run is followed: a checkpoint is served as it is sealed, and what is asked keeps its weights."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from components import pretrain
from components.pretrain import launcher
from components.pretrain.numerics import apply
from components.pretrain.segments import Segment
from components.pretrain.training import Sources, train_segment
from parable.progress import Journal
from parable.store import LocalStore
from services.model_server import ServerSettings, create_app
from services.model_server.engine.options import EngineOptions
from services.model_server.engine.torch_engine import TorchEngine
from services.model_server.models.resident import Limits
from services.model_server.models.stored import Place, StoredModels
from tests.components.pretrain.example import mixed, numerics, recipe
from tests.services.model_server.live import Live, run_app

PLAIN, DOSED = "small.plain.seed-0", "small.dosed.seed-0"
TRUNK, LAST = "@18", "@24"
GREEDY = {"prompt": "<|endoftext|>a robot", "max_tokens": 40, "temperature": 0}
Found = TypeVar("Found")


@contextmanager
def watching(store: LocalStore, cache: Path) -> Iterator[Live]:
    """A server that looks through the store ten times a second, and need not have found anything."""
    engine = TorchEngine(EngineOptions(num_threads=1))
    place = Place(cache=cache, limits=Limits(memory_bytes=2**28), poll_seconds=0.1)
    models = StoredModels(store, engine, place)
    app = create_app(ServerSettings(metrics_port=None), engine=engine, models=models, store=store)
    with run_app(app, until="/health/live") as live:
        yield live


class Reader:
    """Asks one model without a pause; keeps which weights answered, and what they said."""

    def __init__(self, live: Live, model: str) -> None:
        self.answers: list[tuple[str, str]] = []
        self._live, self._model = live, model
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._read)

    def __enter__(self) -> Reader:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join(30)

    def _read(self) -> None:
        with self._live.client() as client:
            while not self._ended.is_set():
                answer = ask(client, self._model)
                self.answers.append((answer["system_fingerprint"], answer["choices"][0]["text"]))


def ask(client: httpx.Client, model: str) -> dict[str, Any]:
    response = client.post("/v1/completions", json={**GREEDY, "model": model})
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def listed(client: httpx.Client) -> dict[str, list[str]]:
    """The names of the models, with their aliases."""
    return {model["id"]: model["aliases"] for model in client.get("/v1/models").json()["data"]}


def until(look: Callable[[], Found | None]) -> Found:
    """What there is to be seen, as soon as it is there."""
    deadline = time.monotonic() + 60
    while (found := look()) is None:
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)
    return found


def test_every_checkpoint_is_served_as_it_is_sealed(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two arms that share a trunk; the server is there before anything is, and is asked all the time."""
    seen: list[set[str]] = []

    def follow(client: httpx.Client, *, newest: str, alias: str) -> None:
        """Wait until an alias means the checkpoint that has just been sealed."""
        until(lambda: alias in listed(client).get(newest, ()) or None)
        seen.append(set(listed(client)))
        assert ask(client, alias)["model"] == newest

    with watching(store, tmp_path / "cache") as live, live.client() as client:
        assert listed(client) == {}
        assert client.get("/health/ready").status_code == 503
        assert client.post("/v1/completions", json={**GREEDY, "model": PLAIN}).status_code == 404

        def train(segments: list[Segment], **_: object) -> None:
            """In this process, a segment at a time."""
            apply(numerics())
            trunk, plain, dosed = segments
            rows = Sources(store, tmp_path / "rows").rows
            train_segment(store, trunk, rows, Journal(None))
            for alias in (PLAIN, DOSED):
                follow(client, newest=f"{alias}{TRUNK}", alias=alias)
            assert until(lambda: client.get("/health/ready").status_code == 200 or None)
            with Reader(live, PLAIN) as reader:
                until(lambda: len(reader.answers) > 2 or None)
                train_segment(store, plain, rows, Journal(None))
                follow(client, newest=f"{PLAIN}{LAST}", alias=PLAIN)
                until(lambda: len(set(reader.answers)) > 1 or None)
            assert f"{DOSED}{TRUNK}" in listed(client)
            train_segment(store, dosed, rows, Journal(None))
            follow(client, newest=f"{DOSED}{LAST}", alias=DOSED)
            # Each answer is the whole answer of one checkpoint, the older one first.
            expected = [ask(client, f"{PLAIN}{step}") for step in (TRUNK, LAST)]
            told = [(answer["system_fingerprint"], answer["choices"][0]["text"]) for answer in expected]
            assert list(dict.fromkeys(reader.answers)) == told

        monkeypatch.setattr(launcher, "train", train)
        given = recipe()
        pretrain.run(given, store, mixed(store, given))

    trunks = {f"{PLAIN}{TRUNK}", f"{DOSED}{TRUNK}"}
    assert seen == [
        trunks,
        trunks,
        trunks | {f"{PLAIN}{LAST}"},
        trunks | {f"{PLAIN}{LAST}", f"{DOSED}{LAST}"},
    ]


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")
