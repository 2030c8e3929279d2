"""Models within a budget: loaded once, kept while they are used, given up when they are not."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from parable.artifact import Artifact
from parable.store import LocalStore
from services.model_server.models.base import ModelUnavailableError, NoRoomError
from services.model_server.models.folders import CheckpointRefusedError
from services.model_server.models.resident import Limits
from tests.services.model_server.models.double import CountingEngine
from tests.services.model_server.models.serving import MODEL_BYTES, meaning, serving
from tests.services.model_server.support import damage, end_run, model_files, point, seal
from tests.support.waiting import PATIENCE_SECONDS, eventually

TWO_FIT = Limits(memory_bytes=2 * MODEL_BYTES + 1000, room_seconds=0.2)
PATIENT = replace(TWO_FIT, room_seconds=10 * PATIENCE_SECONDS)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    """Four arms whose models have equal sizes."""
    store = LocalStore(tmp_path / "store")
    for arm in "abcd":
        point(store, arm, [seal(store, model_files(arm.upper()))])
    end_run(store, list("abcd"), baseline="a")
    return store


def test_concurrent_first_uses_load_once(store: LocalStore, tmp_path: Path) -> None:
    async def play() -> None:
        engine = CountingEngine(gate=asyncio.Event())
        assert engine.gate is not None
        async with serving(store, engine, tmp_path) as models:
            asks = [asyncio.create_task(meaning(models, name)) for name in ("b", "toy.b.seed-0@100", "b") * 4]
            await asyncio.sleep(0.05)
            asks.pop(0).cancel()  # That one gives up does not end it for the others.
            engine.gate.set()
            assert {await ask for ask in asks} == {"toy.b.seed-0@100"}
            await eventually(lambda: models.ready)
            assert len(engine.loads) == len(set(engine.loads)) == 2  # And the default.

    asyncio.run(play())


def test_one_that_the_engine_has_lost_is_loaded_anew(store: LocalStore, tmp_path: Path) -> None:
    async def play() -> None:
        engine = CountingEngine()
        async with serving(store, engine, tmp_path) as models:
            await eventually(lambda: models.ready)
            async with models.lease("b") as before:
                engine.loaded.clear()
                assert [one.loaded for one in models.list()] == [False] * 4
                async with models.lease("b") as again:
                    assert again.key == before.key
            assert engine.loads.count(before.key) == 2
            assert [one.arm for one in models.list() if one.loaded] == ["b"]

    asyncio.run(play())


def test_the_least_recently_used_makes_room_and_comes_back(store: LocalStore, tmp_path: Path) -> None:
    async def play() -> None:
        engine = CountingEngine()
        async with serving(store, engine, tmp_path, limits=TWO_FIT) as models:
            await eventually(lambda: models.ready)
            for name in ("b", "c", "b", "d", "b"):
                assert await meaning(models, name) == f"toy.{name}.seed-0@100"
            loaded = [one.arm for one in models.list() if one.loaded]
            assert loaded == ["a", "b"]  # The default stays.
            assert engine.most_bytes <= TWO_FIT.memory_bytes

    asyncio.run(play())


def test_a_model_in_use_is_not_taken_away(store: LocalStore, tmp_path: Path) -> None:
    async def play() -> None:
        engine = CountingEngine()
        async with serving(store, engine, tmp_path, limits=TWO_FIT) as models, AsyncExitStack() as held:
            await eventually(lambda: models.ready)
            served = await held.enter_async_context(models.lease("b"))
            with pytest.raises(
                NoRoomError, match=r"segments\.\w+@100 takes [\d,]+ bytes of memory; models in use"
            ):
                await meaning(models, "c")
            assert served.key in engine.loaded

    asyncio.run(play())


def test_who_waits_for_room_gets_that_of_a_model_that_falls_out_of_use(
    store: LocalStore, tmp_path: Path
) -> None:
    async def play() -> None:
        engine = CountingEngine()
        async with serving(store, engine, tmp_path, limits=PATIENT) as models:
            await eventually(lambda: models.ready)
            async with models.lease("b") as served:
                waiting = asyncio.create_task(meaning(models, "c"))
                await asyncio.sleep(0.05)
                assert not waiting.done()
            async with asyncio.timeout(PATIENCE_SECONDS):
                assert await waiting == "toy.c.seed-0@100"
            assert served.key not in engine.loaded

    asyncio.run(play())


def test_who_waits_for_room_gets_that_of_a_load_that_fails(store: LocalStore, tmp_path: Path) -> None:
    async def play() -> None:
        engine = CountingEngine()
        async with serving(store, engine, tmp_path, limits=PATIENT) as models:
            await eventually(lambda: models.ready)
            engine.gate = asyncio.Event()
            failing = asyncio.create_task(meaning(models, "b"))
            await eventually(lambda: len(engine.asked) == 2)  # The default, and b.
            engine.refused = {engine.asked[-1]}
            waiting = asyncio.create_task(meaning(models, "c"))
            await asyncio.sleep(0.1)
            engine.gate.set()
            with pytest.raises(CheckpointRefusedError):
                await failing
            async with asyncio.timeout(PATIENCE_SECONDS):
                assert await waiting == "toy.c.seed-0@100"

    asyncio.run(play())


def test_a_model_that_can_never_fit_is_refused_at_once(store: LocalStore, tmp_path: Path) -> None:
    async def play() -> None:
        limits = Limits(memory_bytes=MODEL_BYTES // 2, room_seconds=60.0)
        async with serving(store, CountingEngine(), tmp_path, limits=limits) as models:
            with pytest.raises(
                NoRoomError, match=r"the server has [\d,]+ for models\. Raise its memory budget"
            ):
                await meaning(models, "b")
            assert not models.ready

    asyncio.run(play())


def test_what_a_model_really_takes_counts(store: LocalStore, tmp_path: Path) -> None:
    half = point(store, "half", [seal(store, model_files("H", dtype="bfloat16"))])

    async def play() -> None:
        engine = CountingEngine()  # Keeps the weights as they are at rest.
        limits = Limits(memory_bytes=int(2.5 * MODEL_BYTES), room_seconds=0.2)
        async with serving(store, engine, tmp_path, limits=limits) as models, AsyncExitStack() as held:
            await eventually(lambda: models.ready)
            await held.enter_async_context(models.lease("b"))
            with pytest.raises(NoRoomError):
                await meaning(models, half)
        limits = Limits(memory_bytes=int(2.6 * MODEL_BYTES), weight_bytes=2, room_seconds=0.2)
        async with serving(store, engine, tmp_path, limits=limits) as models, AsyncExitStack() as held:
            await eventually(lambda: models.ready)
            await held.enter_async_context(models.lease("b"))
            await held.enter_async_context(models.lease(half))
            with pytest.raises(NoRoomError):  # Half of it is expected, and all of it found.
                await meaning(models, "c")
            assert sum(one.loaded for one in models.list()) == 3

    asyncio.run(play())


def test_a_damaged_checkpoint_is_refused_with_its_reason_until_it_is_mended(
    store: LocalStore, tmp_path: Path
) -> None:
    async def play() -> None:
        engine = CountingEngine()
        async with serving(store, engine, tmp_path) as models:
            victim = models.describe("b").artifact
            path = store.path(f"{victim}/model/model.safetensors")
            whole = path.read_bytes()
            damage(store, Artifact.parse(victim))
            for _ in range(2):
                with pytest.raises(
                    CheckpointRefusedError, match=r"its model\.safetensors is not what was sealed"
                ):
                    await meaning(models, "b")
            path.write_bytes(whole)
            with pytest.raises(CheckpointRefusedError):  # It is not fetched again for every request.
                await meaning(models, "b")
            assert (await models.reload("b")).current == "toy.b.seed-0@100"
            assert await meaning(models, "b") == "toy.b.seed-0@100"

    asyncio.run(play())


def test_what_the_engine_can_not_run_is_refused_in_its_words(store: LocalStore, tmp_path: Path) -> None:
    async def play() -> None:
        engine = CountingEngine()
        async with serving(store, engine, tmp_path) as models:
            async with models.lease("b") as served:
                engine.refused.add(served.key)
            await models.stop()
        async with serving(store, engine, tmp_path) as models:
            with pytest.raises(
                CheckpointRefusedError, match=r"the engine can't run it \(MambaForCausalLM can't"
            ):
                await meaning(models, "b")

    asyncio.run(play())


def test_loading_that_does_not_end_is_given_up(store: LocalStore, tmp_path: Path) -> None:
    async def play() -> None:
        engine = CountingEngine(gate=asyncio.Event())
        limits = Limits(memory_bytes=10**9, load_seconds=0.05)
        async with serving(store, engine, tmp_path, limits=limits) as models:
            with pytest.raises(ModelUnavailableError, match=r"the engine took more than 0\.05 s"):
                await meaning(models, "b")

    asyncio.run(play())


def test_a_load_that_the_end_of_the_server_cuts_off_says_so(
    store: LocalStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def play() -> None:
        engine = CountingEngine(gate=asyncio.Event())
        async with serving(store, engine, tmp_path, default="b") as models:
            asking = asyncio.create_task(meaning(models, "b"))
            await eventually(lambda: engine.asked)
        with pytest.raises(asyncio.CancelledError):
            await asking

    with caplog.at_level(logging.INFO):
        asyncio.run(play())
    (told,) = [line for line in caplog.messages if "was not loaded" in line]
    assert told.endswith(" was not loaded: the server ends")


def test_nothing_is_left_on_disk(store: LocalStore, tmp_path: Path) -> None:
    async def play() -> None:
        async with serving(store, CountingEngine(), tmp_path / "cache") as models:
            await meaning(models, "b")
            assert list((tmp_path / "cache").rglob("model.safetensors"))
        assert list((tmp_path / "cache").iterdir()) == []

    asyncio.run(play())
