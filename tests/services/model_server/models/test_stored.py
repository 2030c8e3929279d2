"""The models of a store, over real stores and with the real engine."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import parable.store.minio
from parable.store import LocalStore, ObjectStore, open_store
from services.model_server.engine.base import GenerateRequest, Sampling
from services.model_server.engine.options import EngineOptions
from services.model_server.engine.torch_engine import TorchEngine
from services.model_server.models.base import Models, ModelUnavailableError, UnknownModelError
from tests.services.model_server.models.double import CountingEngine
from tests.services.model_server.models.serving import meaning, serving
from tests.services.model_server.support import CHAT_TEMPLATE, model_files, point, seal, two_models
from tests.support.minio_server import MinioServer
from tests.support.waiting import PATIENCE_SECONDS, eventually

ALIAS = "toy.plain.seed-0"


@pytest.fixture
def bucket_store(minio: MinioServer, bucket: str) -> Iterator[ObjectStore]:
    with ExitStack() as stack:
        yield connect(minio, bucket, stack)


def connect(server: MinioServer, bucket: str, stack: ExitStack) -> ObjectStore:
    patch = stack.enter_context(pytest.MonkeyPatch.context())
    for name, value in server.environment.items():
        patch.setenv(name, value)
    return open_store(f"s3://{bucket}/some/prefix")


def test_what_is_served_is_what_was_sealed(bucket_store: ObjectStore, tmp_path: Path) -> None:
    plain, other = two_models(bucket_store, chat=True)

    async def play() -> None:
        async with serving(bucket_store, CountingEngine(), tmp_path) as models:
            await eventually(lambda: models.ready)
            assert models.default == plain
            first, second = models.list()
            assert (first.name, first.aliases, first.loaded) == (f"{plain}@100", (plain, "plain"), True)
            assert (second.name, second.loaded) == (f"{other}@100", False)
            async with models.lease("other") as served:
                assert (served.name, served.digest) == (second.name, second.digest)
                assert served.aliases == second.aliases
                assert served.chat_template == CHAT_TEMPLATE
                assert served.facts.max_length == second.max_length == 128
                assert await meaning(models, served.pinned) == served.name
            with pytest.raises(UnknownModelError):
                await meaning(models, "missing")

    asyncio.run(play())


def test_a_store_that_fills_later_is_ready_later(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")

    async def play() -> None:
        async with serving(store, CountingEngine(), tmp_path) as models:
            assert (models.list(), models.default, models.ready) == ((), None, False)
            with pytest.raises(UnknownModelError, match="holds no sealed checkpoint yet"):
                await meaning(models, "latest")
            alias = point(store, "plain", [seal(store)])
            await eventually(lambda: models.ready)
            assert models.default in (alias, "latest")

    asyncio.run(play())


@pytest.mark.parametrize("default", [f"{ALIAS}@1", "latest", "other"])
def test_the_default_can_be_named(tmp_path: Path, default: str) -> None:
    store = LocalStore(tmp_path / "store")
    point(store, "plain", [seal(store, step=1), seal(store, model_files("B"), step=2)])
    point(store, "other", [seal(store, model_files("C"), step=3)])

    async def play() -> None:
        async with serving(store, CountingEngine(), tmp_path, default=default) as models:
            await eventually(lambda: models.ready)
            assert models.list()[0].name == models.describe(default).name
            assert [one.loaded for one in models.list()] == [True, False, False]

    asyncio.run(play())


def test_two_replicas_converge(bucket_store: ObjectStore, tmp_path: Path) -> None:
    steps = [seal(bucket_store, model_files(letter), step=step) for step, letter in enumerate("ABC", 1)]
    point(bucket_store, "plain", steps[:1])

    async def play() -> None:
        async with (
            serving(bucket_store, CountingEngine(), tmp_path / "1") as one,
            serving(bucket_store, CountingEngine(), tmp_path / "2") as other,
        ):

            async def both_at(step: int) -> None:
                await eventually(lambda: one.describe(ALIAS).step == other.describe(ALIAS).step == step)
                for models in (one, other):
                    assert await meaning(models, ALIAS) == f"{ALIAS}@{step}"

            await both_at(1)
            for newest in (2, 3):
                point(bucket_store, "plain", steps[:newest])
                await both_at(newest)
            await other.rollback(ALIAS)
            await both_at(2)
            await one.reload(ALIAS, f"{ALIAS}@1")
            await both_at(1)
            assert [status.pinned for status in (*one.desired(), *other.desired())] == [True, True]
            await asyncio.gather(one.reload(ALIAS), other.reload(ALIAS, f"{ALIAS}@2"))  # Somebody is last.
            await eventually(lambda: one.describe(ALIAS) == other.describe(ALIAS))

    asyncio.run(play())


def test_an_outage_of_the_store_ends_nothing_that_is_loaded(
    mortal_minio: MinioServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parable.store.minio, "FIRST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(parable.store.minio, "LARGEST_WAIT_SECONDS", 0.02)
    with ExitStack() as stack:
        store = connect(mortal_minio, mortal_minio.new_bucket(), stack)
        plain, other = two_models(store)

        async def play() -> None:
            async with serving(store, CountingEngine(), tmp_path) as models:
                await eventually(lambda: models.ready)
                mortal_minio.kill()
                for _ in range(2):
                    assert await meaning(models, plain) == f"{plain}@100"
                    with pytest.raises(ModelUnavailableError, match="the object store does not answer"):
                        await meaning(models, other)
                with pytest.raises(ModelUnavailableError, match="the object store took no note of it"):
                    await models.reload(plain, f"{plain}@100")
                assert models.ready
                assert len(models.list()) == 2
                mortal_minio.start()
                async with asyncio.timeout(PATIENCE_SECONDS):
                    while not await _is_served(models, other):
                        await asyncio.sleep(0.01)

        asyncio.run(play())


async def _is_served(models: Models, name: str) -> bool:
    try:
        await meaning(models, name)
    except ModelUnavailableError:
        return False
    return True


def test_no_answer_is_of_two_models(tmp_path: Path) -> None:
    """Eight ask without a pause while the alias moves to and fro between models that say A and B."""
    store = LocalStore(tmp_path / "store")
    first = seal(store, model_files("A"), step=1)
    point(store, "plain", [first, seal(store, model_files("B"), step=2)])
    answers: list[tuple[str, str]] = []

    async def play() -> None:
        engine = TorchEngine(EngineOptions(num_threads=1))
        await engine.start()
        try:
            async with serving(store, engine, tmp_path) as models:
                await eventually(lambda: models.ready, seconds=200.0)
                digests = {
                    models.describe(f"{ALIAS}@{step}").digest: say for step, say in ((1, "A"), (2, "B"))
                }
                done = asyncio.Event()

                async def ask() -> None:
                    while not done.is_set():
                        async with models.lease(ALIAS) as served:
                            prompt = served.codec.encode("The AI chose", parse_specials=False)
                            request = GenerateRequest(
                                model=served.key,
                                prompt=prompt,
                                sampling=Sampling(max_tokens=12, temperature=0.0),
                            )
                            ids = [
                                token.id async for chunk in engine.generate(request) for token in chunk.tokens
                            ]
                            answers.append((digests[served.digest], served.codec.decode(ids)))

                async with asyncio.TaskGroup() as asking:
                    for _ in range(8):
                        asking.create_task(ask())
                    for target in (f"{ALIAS}@1", None, f"{ALIAS}@1", None):
                        await models.reload(ALIAS, target)
                        enough = len(answers) + 16
                        while len(answers) < enough:
                            await asyncio.sleep(0.01)
                    done.set()
        finally:
            await engine.stop()

    asyncio.run(play())
    assert {say for say, _ in answers} == {"A", "B"}
    assert [text for say, text in answers if text != say * 12] == []
