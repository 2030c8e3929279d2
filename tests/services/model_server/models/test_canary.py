"""A model that answers wrongly is never asked by anyone else."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from parable.store import LocalStore
from services.model_server.models.base import ModelUnavailableError
from services.model_server.models.folders import CheckpointRefusedError
from tests.services.model_server.models.double import CountingEngine
from tests.services.model_server.models.serving import meaning, serving
from tests.services.model_server.support import model_files, point, seal


def serve(tmp_path: Path, engine: CountingEngine, canary: object = None) -> str:
    """Load a checkpoint, with a canary of its own where one is given."""
    store = LocalStore(tmp_path / "store")
    files = dict(model_files())
    if canary is not None:
        files["canary.json"] = json.dumps(canary).encode()
    alias = point(store, "plain", [seal(store, files)])

    async def ask() -> str:
        async with serving(store, engine, tmp_path / "cache") as models:
            return await meaning(models, alias)

    return asyncio.run(ask())


def test_answers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointRefusedError, match="its log-probabilities are not finite"):
        serve(tmp_path, CountingEngine(logprob=float("nan")))


@pytest.mark.parametrize(("known", "is_served"), [(-1.0, True), (-1.04, True), (-1.06, False), (-3.0, False)])
def test_answers_must_be_those_that_were_sealed(tmp_path: Path, known: float, is_served: bool) -> None:
    canary = {"ids": [0, 70, 71], "logprobs": [-1.0, known]}
    if is_served:
        assert serve(tmp_path, CountingEngine(), canary) == "toy.plain.seed-0@100"
        return
    with pytest.raises(CheckpointRefusedError, match=r"nats off those in its canary\.json"):
        serve(tmp_path, CountingEngine(), canary)


@pytest.mark.parametrize(
    "canary", [{}, [], {"ids": [0], "logprobs": []}, {"ids": [0, 1], "logprobs": [-1.0, -1.0]}]
)
def test_a_canary_that_says_nothing_is_refused(tmp_path: Path, canary: object) -> None:
    with pytest.raises(ModelUnavailableError, match=r"its canary\.json"):
        serve(tmp_path, CountingEngine(), canary)
