"""Replicas over one real store: whatever ends, every question gets one row, and the same one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from parable.store import LocalStore, ObjectStore
from parable.store.minio import MinioStore
from services.model_server.engine.base import RequestRefusedError, ScoreRequest
from services.model_server.jobs.claims import MOST_FRUITLESS
from services.model_server.jobs.errors import (
    InvalidJobError,
    JobConflictError,
    StoreDownError,
    TooManyJobsError,
)
from services.model_server.jobs.options import JobOptions
from services.model_server.jobs.order import JobOrder, JobSettings, Subset, WorldTask
from services.model_server.jobs.service import JobService, Owner
from services.model_server.jobs.views import JobView
from services.model_server.models.base import ModelUnavailableError
from services.model_server.models.folders import CheckpointRefusedError
from tests.services.model_server.jobs.fakes import ArithmeticEngine, EngineRequest, NamedModels
from tests.support.minio_server import MinioServer
from tests.support.waiting import PATIENCE_SECONDS, eventually

ADA, BOB = Owner("ada"), Owner("bob")
QUICK = JobOptions(
    expire_seconds=0.5,
    renew_seconds=0.1,
    poll_seconds=0.05,
    patience_seconds=1,
    part_requests=4,
    batch_requests=2,
)
PATIENT = QUICK.model_copy(update={"patience_seconds": PATIENCE_SECONDS})
NEVER_EXPIRES = QUICK.model_copy(update={"expire_seconds": 1000.0})
TASK = WorldTask(name="world", items_per_cell=2, perplexity_documents=3)


class HaltingEngine(ArithmeticEngine):
    """Answers so many requests and no more before it `goes_on`: until then the job is half done."""

    def __init__(self, *, asks: int) -> None:
        super().__init__()
        self.goes_on = asyncio.Event()
        self._asks = asks

    async def _begin(self, request: EngineRequest) -> None:
        await super()._begin(request)
        if len(self.asked) > self._asks:
            await self.goes_on.wait()


def order(*models: str, **changes: Any) -> JobOrder:
    return JobOrder(models=models or ("toy.plain.seed-0",), tasks=(TASK,), **changes)


def open_bucket(minio: MinioServer, bucket: str) -> MinioStore:
    return MinioStore.from_environment(bucket, "lab", minio.environment)


@pytest.fixture
def store(minio: MinioServer, bucket: str) -> Iterator[ObjectStore]:
    yield open_bucket(minio, bucket)


@asynccontextmanager
async def replica(
    store: ObjectStore,
    engine: ArithmeticEngine | None = None,
    models: NamedModels | None = None,
    options: JobOptions = QUICK,
) -> AsyncIterator[JobService]:
    service = JobService(store, models or NamedModels(), engine or ArithmeticEngine(), options)
    service.start()
    try:
        yield service
    finally:
        await service.stop()


async def until(service: JobService, name: str, *states: str, num_done: int = 0) -> JobView:
    wanted = states or ("completed", "failed", "cancelled")
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            with suppress(StoreDownError):
                view = await service.get(ADA, name)
                if view.status in wanted and view.progress.done >= num_done:
                    return view
            await asyncio.sleep(0.02)


async def work(store: ObjectStore, asked: JobOrder) -> str:
    """The folder of a job that nobody disturbed."""
    async with replica(store) as service:
        name = (await service.submit(ADA, asked, "undisturbed")).id
        assert (await until(service, name)).status == "completed"
    return name


class GatedStore(LocalStore):
    """Takes its time over the objects of one kind: their writers wait at the gate."""

    def __init__(self, folder: Path, kind: str) -> None:
        super().__init__(folder)
        self._kind = kind
        self.has_come, self.gate = threading.Event(), threading.Event()

    def put(self, key: str, data: bytes, *, if_absent: bool = False) -> None:
        if self._kind in key:
            self.has_come.set()
            self.gate.wait()
        super().put(key, data, if_absent=if_absent)


def products(store: ObjectStore, name: str) -> dict[str, bytes]:
    """Everything that a job left but its claims."""
    folder = f"evaluations/jobs/work/{name}/"
    keys = [info.key for info in store.list(folder) if "/claims/" not in info.key]
    return {key.removeprefix(folder): store.get(key) for key in keys}


def test_replicas_share_the_jobs_and_ask_no_question_twice(store: ObjectStore) -> None:
    engines = ArithmeticEngine(), ArithmeticEngine()

    async def both() -> list[str]:
        async with (
            replica(store, engines[0], options=NEVER_EXPIRES) as one,
            replica(store, engines[1], options=NEVER_EXPIRES) as two,
        ):
            names = [
                (await service.submit(ADA, order(f"toy.plain.seed-{n % 3}"), f"job-{n}")).id
                for n, service in enumerate([one, two] * 3)
            ]
            for name in names:
                assert (await until(two, name)).status == "completed"
        return names

    names = asyncio.run(both())
    asked = sorted(repr(request) for engine in engines for request in engine.asked)
    # Each of three models was asked for by two jobs, and by both in the same words.
    assert asked[::2] == asked[1::2]
    assert len(set(asked)) * 2 == len(asked)
    first, fourth = products(store, names[0]), products(store, names[3])
    assert first == fourth
    assert sum("/parts/" in key for key in first) == 13


def test_a_replica_that_goes_down_in_order_gives_its_job_back_at_once(store: ObjectStore) -> None:
    async def hand_over() -> str:
        engine = HaltingEngine(asks=6)
        async with replica(store, engine, options=NEVER_EXPIRES) as one:
            name = (await one.submit(ADA, order(), "key")).id
            await until(one, name, "running", num_done=8)
        async with replica(store, options=NEVER_EXPIRES) as two:
            assert (await until(two, name)).status == "completed"
        return name

    name = asyncio.run(hand_over())
    assert products(store, name) == products(store, asyncio.run(work(store, order())))


def test_a_claim_that_is_being_written_when_the_replica_goes_down_is_given_back(tmp_path: Path) -> None:
    store = GatedStore(tmp_path, "/claims/")

    async def hand_over() -> JobView:
        async with replica(store, options=NEVER_EXPIRES) as one:
            name = (await one.submit(ADA, order(), "key")).id
            await asyncio.to_thread(store.has_come.wait)
            one.drain()
            store.gate.set()
        while not list(store.list(f"evaluations/jobs/work/{name}/claims/")):
            await asyncio.sleep(0.01)
        async with replica(LocalStore(tmp_path), options=NEVER_EXPIRES) as two:
            return await until(two, name)

    assert asyncio.run(hand_over()).status == "completed"


def test_an_outage_of_the_store_is_sat_out(mortal_minio: MinioServer) -> None:
    store, engine = open_bucket(mortal_minio, mortal_minio.new_bucket()), HaltingEngine(asks=6)
    options = QUICK.model_copy(update={"store_seconds": 0.5})

    async def sit_out() -> str:
        # One that waits for a store that is only slow.
        name = (await JobService(store, NamedModels(), engine, QUICK).submit(ADA, order(), "key")).id
        async with replica(store, engine, options=options) as service:
            await until(service, name, "running", num_done=8)
            await asyncio.to_thread(mortal_minio.kill)
            for ask in (
                service.get(ADA, name),
                service.submit(ADA, order(), "other"),
                service.cancel(ADA, name),
            ):
                with pytest.raises(StoreDownError):
                    await ask
            engine.goes_on.set()
            mortal_minio.start()  # Not in a thread: the server would end with it.
            assert (await until(service, name)).status == "completed"
        return name

    name = asyncio.run(sit_out())
    assert products(store, name) == products(store, asyncio.run(work(store, order())))


def test_an_owner_that_comes_back_when_another_has_finished_its_job_changes_nothing(
    store: ObjectStore,
) -> None:
    engine, away = HaltingEngine(asks=6), QUICK.model_copy(update={"renew_seconds": 1000.0})

    async def come_back() -> str:
        async with replica(store, engine, options=away) as one:
            name = (await one.submit(ADA, order(), "key")).id
            await until(one, name, "running", num_done=8)
            async with replica(store) as two:
                assert (await until(two, name)).status == "completed"
            before = list(store.list("evaluations/"))
            engine.goes_on.set()
            await eventually(lambda: not one.busy)
            assert list(store.list("evaluations/")) == before
        return name

    name = asyncio.run(come_back())
    assert products(store, name) == products(store, asyncio.run(work(store, order())))


def test_a_cancelled_job_stops_whoever_works_on_it_and_keeps_its_rows(store: ObjectStore) -> None:
    engine = HaltingEngine(asks=6)

    async def cancel() -> int:
        async with replica(store, engine) as one:
            # This one only answers.
            other = JobService(store, NamedModels(), ArithmeticEngine(), QUICK)
            name = (await one.submit(ADA, order(), "key")).id
            await until(one, name, "running", num_done=8)
            assert (await other.cancel(ADA, name)).status == "cancelled"
            assert (await other.cancel(ADA, name)).status == "cancelled"
            await eventually(lambda: not one.busy)
            asked = len(engine.asked)
            assert (await one.get(ADA, name)).progress.done >= 8
            engine.goes_on.set()
            await asyncio.sleep(0.2)
            return len(engine.asked) - asked

    assert asyncio.run(cancel()) == 0


def test_a_question_that_fails_is_told_of_and_the_others_count(store: ObjectStore) -> None:
    def refuse(request: EngineRequest) -> None:
        if isinstance(request, ScoreRequest) and any(len(ids) > 60 for ids in request.sequences):
            raise RequestRefusedError("too long for the model")

    async def ask() -> tuple[JobView, dict[str, Any]]:
        async with replica(store, ArithmeticEngine(refuse)) as service:
            name = (await service.submit(ADA, order(), "key")).id
            view = await until(service, name)
            page = await service.results.page((await service.find(ADA, name)).job)
        return view, asdict(page.results[0])

    view, result = asyncio.run(ask())
    assert view.status == "completed"
    assert view.num_failed == result["num_failed"] > 0
    assert result["num_rows"] + result["num_failed"] == view.progress.total
    assert result["failures"][0]["error"] == "too long for the model"


@pytest.mark.parametrize("trouble", ["model", "engine"])
def test_a_job_that_gets_nowhere_for_too_long_fails_with_the_reason(store: ObjectStore, trouble: str) -> None:
    def refuse(request: EngineRequest) -> None:
        raise RequestRefusedError("the model is not loaded")

    models = NamedModels(
        trouble=ModelUnavailableError("its weights are damaged") if trouble == "model" else None
    )
    engine = ArithmeticEngine(refuse)

    async def ask() -> JobView:
        async with replica(store, engine, models) as service:
            return await until(service, (await service.submit(ADA, order(), "key")).id)

    view = asyncio.run(ask())
    assert view.status == "failed"
    assert view.error in ("its weights are damaged", "the model is not loaded")


def test_a_refused_checkpoint_holds_up_nobody(store: ObjectStore) -> None:
    models = NamedModels(trouble=CheckpointRefusedError("segments.a@1 is refused: it is a pickle."))
    patient = QUICK.model_copy(update={"patience_seconds": 1000.0})

    async def ask() -> JobView:
        async with replica(store, models=models, options=patient) as service:
            return await until(service, (await service.submit(ADA, order(), "key")).id)

    view = asyncio.run(ask())
    assert (view.status, view.error) == ("failed", "segments.a@1 is refused: it is a pickle.")


def test_a_model_that_is_away_for_a_while_is_waited_for(store: ObjectStore) -> None:
    models = NamedModels(trouble=ModelUnavailableError("no room"))

    async def ask() -> JobView:
        async with replica(store, models=models, options=PATIENT) as service:
            name = (await service.submit(ADA, order(), "key")).id
            await until(service, name, "running")
            models.trouble = None
            return await until(service, name)

    assert asyncio.run(ask()).status == "completed"


def test_other_weights_under_the_pinned_name_are_never_asked(store: ObjectStore) -> None:
    models = NamedModels()

    async def ask() -> JobView:
        only_answers = JobService(store, models, ArithmeticEngine(), QUICK)
        view = await only_answers.submit(ADA, order(), "key")
        models.weights[view.models[0].pinned] = "f" * 16
        async with replica(store, models=models) as service:
            return await until(service, view.id)

    view = asyncio.run(ask())
    assert view.status == "failed"
    assert view.error is not None
    assert "ffff" in view.error


def test_a_job_over_which_every_worker_ends_is_given_up(store: ObjectStore) -> None:
    class CrashError(Exception):
        """What nobody foresaw."""

    def crash(request: EngineRequest) -> None:
        raise CrashError

    async def ask() -> tuple[JobView, int]:
        async with replica(store, ArithmeticEngine(crash)) as service:
            view = await until(service, (await service.submit(ADA, order(), "key")).id)
        return view, len(list(store.list(f"evaluations/jobs/work/{view.id}/claims/")))

    view, num_claims = asyncio.run(ask())
    assert (view.status, num_claims) == ("failed", MOST_FRUITLESS + 1)


def test_many_jobs_of_one_owner_do_not_hold_up_anothers(store: ObjectStore) -> None:
    engine = ArithmeticEngine()

    async def ask() -> str:
        only_answers = JobService(store, NamedModels(), engine, QUICK)
        names = [
            (await only_answers.submit(ADA, order(f"toy.plain.seed-{seed}"), None)).id for seed in range(3)
        ]
        late = await only_answers.submit(BOB, order("toy.good.seed-0"), None)
        async with replica(store, engine) as service:
            for name in names:
                await until(service, name)
        return late.models[0].digest

    late = asyncio.run(ask())
    turns = list(dict.fromkeys(request.model for request in engine.asked))
    assert len(turns) == 4
    assert late in turns[:2]


def test_a_key_means_one_job_whoever_takes_it(store: ObjectStore) -> None:
    async def ask() -> set[str]:
        services = [JobService(store, NamedModels(), ArithmeticEngine(), QUICK) for _ in range(4)]
        views = await asyncio.gather(*(service.submit(ADA, order(), "key") for service in services))
        with pytest.raises(JobConflictError):
            await services[0].submit(ADA, order("toy.good.seed-0"), "key")
        assert (await services[0].submit(BOB, order("toy.good.seed-0"), "key")).id != views[0].id
        return {view.id for view in views}

    assert len(asyncio.run(ask())) == 1
    assert len(list(store.list("evaluations/jobs/requests/"))) == 2


def test_an_owner_has_so_many_unfinished_jobs_and_no_more(store: ObjectStore) -> None:
    options = QUICK.model_copy(update={"max_open_per_owner": 2, "max_requests": 100})

    async def ask() -> None:
        service = JobService(store, NamedModels(), ArithmeticEngine(), options)
        views = [await service.submit(ADA, order(), f"{n}") for n in range(2)]
        with pytest.raises(TooManyJobsError):
            await service.submit(ADA, order(), "one too many")
        assert (await service.submit(ADA, order(), "0")).id == views[0].id
        await service.submit(BOB, order(), "0")
        await service.cancel(ADA, views[0].id)
        await service.submit(ADA, order(), "room again")
        with pytest.raises(InvalidJobError, match="possible"):
            await service.submit(BOB, order("toy.plain.seed-0", "toy.plain.seed-1"), "too long")

    asyncio.run(ask())


def test_a_subset_is_asked_alone(store: ObjectStore) -> None:
    engine = ArithmeticEngine()
    subset = Subset(entities=("ai",), distances=(0,), metrics=("cloze",))

    async def ask() -> JobView:
        async with replica(store, engine) as service:
            asked = order(items=subset, settings=JobSettings(confidence=0.9))
            return await until(service, (await service.submit(ADA, asked, None)).id)

    assert asyncio.run(ask()).progress.total == 2
    assert len(engine.asked) == 1


def test_nothing_is_written_elsewhere(store: ObjectStore) -> None:
    asyncio.run(work(store, order()))
    assert {info.key.split("/")[0] for info in store.list()} == {"evaluations"}


def test_what_another_version_wrote_is_passed_over(store: ObjectStore) -> None:
    store.put(f"evaluations/jobs/requests/{'0' * 16}/eval-{'0' * 32}/request.json", b'{"format": 2}')

    async def ask() -> JobView:
        async with replica(store) as service:
            assert len((await service.list(Owner("root", sees_all=True), after=None, limit=9)).data) == 0
            return await until(service, (await service.submit(ADA, order(), "key")).id)

    assert asyncio.run(ask()).status == "completed"
