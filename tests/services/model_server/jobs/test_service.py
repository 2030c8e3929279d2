"""What a store holds besides, or can't do for a moment, harms no job; what can't be asked is said at once."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from parable.errors import UserError
from parable.store import LocalStore
from services.model_server.jobs import desk
from services.model_server.jobs.errors import JobConflictError
from services.model_server.jobs.options import JobOptions
from services.model_server.jobs.order import JobOrder, JobSettings
from services.model_server.jobs.records import job_id, owner_folder
from services.model_server.jobs.service import JobService, Owner
from services.model_server.jobs.views import JobView
from tests.services.model_server.jobs.fakes import ArithmeticEngine, NamedModels

ADA = Owner("ada")
PATIENT = JobOptions(poll_seconds=0.05, expire_seconds=1000.0)
"""Who breaks off loses the job for the length of a test."""
ITEM = {"prefix": "It chose to", "good": [" help"], "bad": [" harm"]}


def order(*, num_items: int = 1, **changes: Any) -> JobOrder:
    items = [{**ITEM, "id": f"{n}"} for n in range(num_items)]
    return JobOrder.model_validate(
        {"models": ["toy.plain.seed-0"], "tasks": [{"name": "items", "items": items}], **changes}
    )


@asynccontextmanager
async def replica(store: LocalStore) -> AsyncIterator[JobService]:
    service = JobService(store, NamedModels(), ArithmeticEngine(), PATIENT)
    service.start()
    try:
        yield service
    finally:
        await service.stop()


async def ended(service: JobService, name: str) -> JobView:
    async with asyncio.timeout(20):
        return [view async for view in service.watch(ADA, name)][-1]


def run(store: LocalStore, asked: JobOrder) -> JobView:
    """How a job ends that is asked for under `key`."""

    async def play() -> JobView:
        async with replica(store) as service:
            return await ended(service, (await service.submit(ADA, asked, "key")).id)

    return asyncio.run(play())


@pytest.mark.parametrize(
    "place", ["requests/", "requests/{owner}/", "requests/{owner}/{job}/", "work/{job}/claims/", "ends/"]
)
@pytest.mark.parametrize("file", [".DS_Store", "~note.txt"])
def test_a_file_that_is_none_of_ours_is_passed_over(tmp_path: Path, place: str, file: str) -> None:
    store, name = LocalStore(tmp_path), job_id("ada", "key")
    store.put("evaluations/jobs/" + place.format(owner=owner_folder("ada"), job=name) + file, b"\0")
    assert run(store, order()).status == "completed"
    listed = asyncio.run(JobService(store, NamedModels(), ArithmeticEngine()).list(ADA, after=None, limit=9))
    assert [view.id for view in listed.data] == [name]


def test_what_another_version_wrote_is_told_of_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store, key = LocalStore(tmp_path), f"evaluations/jobs/requests/{'0' * 16}/eval-{'0' * 32}/request.json"
    store.put(key, b'{"format": 2}')

    async def play() -> None:
        service = JobService(store, NamedModels(), ArithmeticEngine())
        for _ in range(3):
            assert (await service.list(Owner("root", sees_all=True), after=None, limit=9)).data == []

    with caplog.at_level(logging.WARNING):
        asyncio.run(play())
    (told,) = caplog.messages
    assert told.startswith(f"{key} is passed over: ")


def test_a_key_whose_request_can_not_be_read_is_taken(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    folder = f"evaluations/jobs/requests/{owner_folder('ada')}/{job_id('ada', 'key')}"
    store.put(f"{folder}/request.json", b'{"format": 2}')
    with pytest.raises(JobConflictError, match="this version of the server can't read"):
        run(store, order())


def test_a_control_token_that_the_model_lacks_fails_the_job_with_the_reason(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    view = run(store, order(settings=JobSettings(control="<|nice|>")))
    reason = "The tokenizer has no special token <|nice|>; it has <|endoftext|>, <|good|>, <|bad|>"
    assert view.status == "failed"
    assert reason in (view.error or "")
    assert len(list(store.list(f"evaluations/jobs/work/{view.id}/claims/"))) == 1


def test_the_rows_of_a_job_that_was_cancelled_come_to_an_end(tmp_path: Path) -> None:
    async def play() -> None:
        service = JobService(LocalStore(tmp_path), NamedModels(), ArithmeticEngine())
        view = await service.submit(ADA, order(), "key")
        unit = (await service.find(ADA, view.id)).job.unit(0, 0)
        before = await service.results.rows(unit, after=0, limit=10)
        assert (before.rows, before.next) == ([], 0)
        await service.cancel(ADA, view.id)
        after = await service.results.rows(unit, after=0, limit=10)
        assert (after.rows, after.next) == ([], None)

    asyncio.run(play())


class Forgetful(LocalStore):
    """A store that does not answer the first time that the end of a job is written."""

    has_failed = False

    def put(self, key: str, data: bytes, *, if_absent: bool = False) -> None:
        if key.endswith("/end.json") and not self.has_failed:
            self.has_failed = True
            raise UserError("The store does not answer.")
        super().put(key, data, if_absent=if_absent)


def test_a_moment_without_the_store_at_the_very_end_is_sat_out(tmp_path: Path) -> None:
    store = Forgetful(tmp_path)
    view = run(store, order())
    assert (store.has_failed, view.status) == (True, "completed")
    assert len(list(store.list(f"evaluations/jobs/work/{view.id}/claims/"))) == 1


class Counting(LocalStore):
    """A store that counts how often each request is read."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.reads: Counter[str] = Counter()

    def get(self, key: str) -> bytes:
        if key.endswith("/request.json"):
            self.reads[key.split("/")[-2]] += 1
        return super().get(key)


def test_of_many_large_requests_few_are_kept_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Counting(tmp_path)

    async def play() -> list[int]:
        service = JobService(store, NamedModels(), ArithmeticEngine())
        names = [(await service.submit(ADA, order(num_items=50), f"{n}")).id for n in range(3)]
        (size,) = {info.num_bytes for info in store.list("evaluations/jobs/requests/")}
        monkeypatch.setattr(desk, "KEPT_BYTES", 2 * size)
        store.reads.clear()
        other = JobService(store, NamedModels(), ArithmeticEngine())
        for number in (0, 1, 2, 1, 0, 1, 2):
            await other.get(ADA, names[number])
        return [store.reads[name] for name in names]

    # Two are kept, those that were asked for last: 2 drives out 0, 0 drives out 2, and 2 drives out 0.
    assert asyncio.run(play()) == [2, 1, 2]
