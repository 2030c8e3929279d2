"""One checkpoint follows another with neither a gap nor a mixture, and one can go back."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from parable.artifact import Artifact
from parable.store import LocalStore
from services.model_server.models.base import NoRoomError, UnknownModelError
from services.model_server.models.finding import Finder
from services.model_server.models.folders import CheckpointRefusedError
from services.model_server.models.resident import Limits
from services.model_server.models.stored import StoredModels
from tests.services.model_server.models.double import CountingEngine
from tests.services.model_server.models.serving import MODEL_BYTES, meaning, serving
from tests.services.model_server.support import damage, model_files, point, seal
from tests.support.waiting import PATIENCE_SECONDS, eventually

ALIAS = "toy.plain.seed-0"
ONE_FITS = Limits(memory_bytes=MODEL_BYTES + 1000, room_seconds=0.1, drain_seconds=PATIENCE_SECONDS)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    store = LocalStore(tmp_path / "store")
    train(store, 1)
    return store


def train(store: LocalStore, num_steps: int, *, damaged: bool = False) -> Artifact:
    """Seal the arm's next checkpoint; each has weights of its own."""
    sealed = [seal(store, model_files(chr(64 + step)), step=step) for step in range(1, num_steps + 1)]
    if damaged:
        damage(store, sealed[-1])
    point(store, "plain", sealed)
    return sealed[-1]


async def settles(models: StoredModels, step: int, *, alias: str = ALIAS) -> None:
    await eventually(lambda: models.describe(alias).step == step)


def test_an_alias_in_use_follows_what_is_sealed(store: LocalStore, tmp_path: Path) -> None:
    async def play() -> None:
        async with serving(store, CountingEngine(), tmp_path) as models:
            assert await meaning(models, ALIAS) == f"{ALIAS}@1"
            for step in (2, 3):
                train(store, step)
                await settles(models, step)
                assert await meaning(models, ALIAS) == f"{ALIAS}@{step}"
                assert await meaning(models, f"{ALIAS}@1") == f"{ALIAS}@1"
            (status,) = models.desired()
            assert (status.current, status.previous, status.number, status.pinned, status.trouble) == (
                f"{ALIAS}@3",
                f"{ALIAS}@2",
                2,
                False,
                None,
            )

    asyncio.run(play())


def test_requests_never_wait_for_the_next_one_and_keep_the_one_they_have(
    store: LocalStore, tmp_path: Path
) -> None:
    async def play() -> None:
        engine = CountingEngine()
        async with serving(store, engine, tmp_path) as models, models.lease(ALIAS) as old:
            engine.gate = asyncio.Event()
            train(store, 2)
            await eventually(lambda: len(engine.asked) == 2)  # The next one is on its way, and does not come.
            async with asyncio.timeout(PATIENCE_SECONDS):
                assert await meaning(models, ALIAS) == f"{ALIAS}@1"
            engine.gate.set()
            await settles(models, 2)
            assert await meaning(models, ALIAS) == f"{ALIAS}@2"
            assert old.key in engine.loaded

    asyncio.run(play())


def test_where_two_do_not_fit_the_old_one_is_drained_first(store: LocalStore, tmp_path: Path) -> None:
    async def play() -> None:
        engine = CountingEngine()
        async with serving(store, engine, tmp_path, limits=ONE_FITS) as models:
            async with models.lease(ALIAS) as old:
                await eventually(lambda: models.ready)
                train(store, 2)
                await eventually(lambda: not models.describe(f"{ALIAS}@1").loaded)  # It gets no new requests.
                later = asyncio.create_task(meaning(models, ALIAS))
                await asyncio.sleep(0.1)
                assert not later.done()
                assert old.key in engine.loaded
            assert await later == f"{ALIAS}@2"
            assert models.ready
            assert engine.most_bytes == MODEL_BYTES

    asyncio.run(play())


def test_an_old_one_that_does_not_fall_out_of_use_goes_on(store: LocalStore, tmp_path: Path) -> None:
    async def play() -> None:
        limits = Limits(memory_bytes=MODEL_BYTES + 1000, room_seconds=0.05, drain_seconds=0.1)
        async with serving(store, CountingEngine(), tmp_path, limits=limits) as models:
            async with models.lease(ALIAS):
                train(store, 2)
                await eventually(lambda: "still in use after 0.1 s" in (models.desired()[0].trouble or ""))
                assert await meaning(models, ALIAS) == f"{ALIAS}@1"
            await settles(models, 2)

    asyncio.run(play())


def test_a_successor_that_is_refused_after_the_old_one_was_drained_gives_the_place_back(
    store: LocalStore, tmp_path: Path
) -> None:
    async def play() -> None:
        engine = CountingEngine()
        async with serving(store, engine, tmp_path, limits=ONE_FITS) as models:
            assert await meaning(models, ALIAS) == f"{ALIAS}@1"
            artifact = train(LocalStore(tmp_path / "elsewhere"), 2)
            elsewhere = Finder(LocalStore(tmp_path / "elsewhere")).find()
            engine.refused.add(elsewhere.find(artifact.key).checkpoint.content)
            train(store, 2)
            await eventually(lambda: "the engine can't run it" in (models.desired()[0].trouble or ""))
            assert await meaning(models, ALIAS) == f"{ALIAS}@1"

    asyncio.run(play())


@pytest.mark.parametrize("how", ["damaged", "broken"])
def test_a_bad_checkpoint_is_not_served_and_the_old_one_stays(
    store: LocalStore, tmp_path: Path, how: str
) -> None:
    async def play() -> None:
        engine = CountingEngine()
        async with serving(store, engine, tmp_path) as models:
            assert await meaning(models, ALIAS) == f"{ALIAS}@1"
            if how == "broken":
                engine.logprob = float("nan")
            train(store, 2, damaged=how == "damaged")
            await eventually(lambda: models.desired()[0].trouble)
            (status,) = models.desired()
            reason = "is not what was sealed" if how == "damaged" else "are not finite"
            assert reason in (status.trouble or "")
            assert (status.desired, status.current, status.number) == (f"{ALIAS}@2", f"{ALIAS}@1", 0)
            assert await meaning(models, ALIAS) == f"{ALIAS}@1"
            with pytest.raises(CheckpointRefusedError, match=reason):
                await models.reload(ALIAS)
            engine.logprob = -1.0
            train(store, 3)
            await settles(models, 3)
            assert models.desired()[0].trouble is None

    asyncio.run(play())


def test_after_a_restart_the_last_proven_one_stands_in_for_a_bad_one(
    store: LocalStore, tmp_path: Path
) -> None:
    async def play() -> None:
        async with serving(store, CountingEngine(), tmp_path) as models:
            await meaning(models, ALIAS)
            train(store, 2)
            await settles(models, 2)
        train(store, 3, damaged=True)
        async with serving(store, CountingEngine(), tmp_path) as models:
            assert await meaning(models, ALIAS) == f"{ALIAS}@2"
            assert "is not what was sealed" in (models.desired()[0].trouble or "")

    asyncio.run(play())


def test_a_rollback_pins_the_one_before_until_a_reload(store: LocalStore, tmp_path: Path) -> None:
    async def play() -> None:
        async with serving(store, CountingEngine(), tmp_path) as models:
            with pytest.raises(UnknownModelError, match="has nothing to go back to"):
                await models.rollback(ALIAS)
            await meaning(models, ALIAS)
            train(store, 2)
            await settles(models, 2)
            status = await models.rollback("plain")
            assert (status.alias, status.current, status.pinned, status.previous) == (
                ALIAS,
                f"{ALIAS}@1",
                True,
                f"{ALIAS}@2",
            )
            train(store, 3)
            await eventually(lambda: any(one.step == 3 for one in models.list()))
            await asyncio.sleep(0.2)
            assert await meaning(models, ALIAS) == f"{ALIAS}@1"
            assert await meaning(models, "latest") == f"{ALIAS}@3"
            status = await models.reload(ALIAS)
            assert (status.current, status.pinned, status.previous) == (f"{ALIAS}@3", False, f"{ALIAS}@1")
            train(store, 4)
            await settles(models, 4)

    asyncio.run(play())


def test_a_reload_to_a_checkpoint_stays_there(store: LocalStore, tmp_path: Path) -> None:
    train(store, 2)

    async def play() -> None:
        async with serving(store, CountingEngine(), tmp_path) as models:
            status = await models.reload("latest", f"{ALIAS}@1")
            assert (status.desired, status.pinned, status.number) == (f"{ALIAS}@1", True, 1)
            assert await meaning(models, "latest") == f"{ALIAS}@1"
            assert "latest" in models.describe(f"{ALIAS}@1").aliases
            with pytest.raises(UnknownModelError, match=f"give an alias, for instance {ALIAS}"):
                await models.reload(f"{ALIAS}@1")
            with pytest.raises(UnknownModelError):
                await models.reload("latest", f"{ALIAS}@99")
        async with serving(store, CountingEngine(), tmp_path) as models:
            assert await meaning(models, "latest") == f"{ALIAS}@1"  # Also after a restart.

    asyncio.run(play())


def test_a_reload_for_which_there_is_no_room_moves_nothing(store: LocalStore, tmp_path: Path) -> None:
    big = point(
        store, "big", [seal(store, {**model_files("Z"), "extra.safetensors": bytes(10 * MODEL_BYTES)})]
    )

    async def play() -> None:
        async with serving(store, CountingEngine(), tmp_path, default=ALIAS) as models:
            await meaning(models, ALIAS)
            with pytest.raises(NoRoomError):
                await models.reload(ALIAS, big)
            (status,) = models.desired()
            assert (status.current, status.number) == (f"{ALIAS}@1", 0)

    asyncio.run(play())


def test_what_is_pinned_and_gone_from_the_store_is_said(store: LocalStore, tmp_path: Path) -> None:
    first = train(store, 1)
    train(store, 2)

    async def play() -> None:
        async with serving(store, CountingEngine(), tmp_path) as models:
            await models.reload(ALIAS, f"{ALIAS}@1")
            for info in list(store.list(f"{first.key}/")):
                store.delete(info.key)
            await eventually(lambda: models.desired()[0].trouble)
            assert "is no longer in the store" in (models.desired()[0].trouble or "")
            assert await meaning(models, ALIAS) == f"{ALIAS}@1"

    asyncio.run(play())
