"""One worker a job: numbered claims, of which the highest holds while it is renewed."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest

from parable.store import LocalStore
from services.model_server.jobs.claims import Claim, ClaimWatch, HeldClaim, newest_claim, take
from services.model_server.jobs.options import JobOptions
from services.model_server.jobs.order import JobOrder, WorldTask
from services.model_server.jobs.records import JobEnd, JobRequest, Pin, job_id
from services.model_server.jobs.shelf import Shelf
from services.model_server.jobs.working import write_end

QUICK = JobOptions(renew_seconds=0.01)
Result = TypeVar("Result")


def a_job(key: str = "key") -> JobRequest:
    pin = Pin(asked="m", name="m@1", pinned="segments.x@1", digest="d", artifact="segments/x", seed=0, step=1)
    return JobRequest(
        id=job_id("ada", key),
        owner="ada",
        order=JobOrder(models=("m",), tasks=(WorldTask(name="world"),)),
        models=(pin,),
        tasks=("t",),
        num_requests=(20,),
        part_requests=8,
        stage_version=1,
    )


JOB = a_job()


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(LocalStore(tmp_path), patience_seconds=10)


def run(coroutine: Coroutine[Any, Any, Result]) -> Result:
    return asyncio.run(coroutine)


async def claim(shelf: Shelf, after: Claim | None = None, *, num_parts: int = 0) -> HeldClaim:
    found = await take(shelf, JOB, after=after, num_parts=num_parts)
    assert found is not None
    return found


def test_of_many_who_want_a_free_job_one_gets_it(shelf: Shelf) -> None:
    async def race() -> list[HeldClaim | None]:
        return list(await asyncio.gather(*(take(shelf, JOB, after=None, num_parts=0) for _ in range(8))))

    assert sum(held is not None for held in run(race())) == 1


def test_a_claim_that_is_renewed_never_expires_and_one_that_is_not_does(shelf: Shelf) -> None:
    now = [0.0]

    async def renewed(held: HeldClaim) -> Claim:
        await held.renew()
        found = await newest_claim(shelf, JOB)
        assert found is not None
        return found

    def has_expired(claim: Claim, at: float) -> bool:
        now[0] = at
        return watch.has_expired(JOB.id, claim)

    watch, held = ClaimWatch(30.0, lambda: now[0]), run(claim(shelf))
    seen = [has_expired(run(renewed(held)), at) for at in (0.0, 20.0, 40.0, 60.0)]
    last = run(newest_claim(shelf, JOB))
    assert last is not None
    seen += [has_expired(last, at) for at in (80.0, 90.0, 91.0)]
    assert seen == [False] * 6 + [True]


def test_a_claim_that_was_given_back_is_free_at_once(shelf: Shelf) -> None:
    held = run(claim(shelf))
    run(held.release())
    newest = run(newest_claim(shelf, JOB))
    assert newest is not None
    assert ClaimWatch(30.0).has_expired(JOB.id, newest)


def test_a_holder_stops_when_another_follows_or_the_job_ends(shelf: Shelf) -> None:
    async def followed() -> None:
        held = await claim(shelf)
        await claim(shelf, await newest_claim(shelf, JOB))
        await asyncio.wait_for(held.keep(QUICK), 10)

    async def is_ended() -> None:
        held = await claim(shelf, await newest_claim(shelf, JOB))
        await write_end(shelf, JOB, JobEnd(state="cancelled"))
        await asyncio.wait_for(held.keep(QUICK), 10)

    run(followed())
    run(is_ended())


def test_holders_count_as_fruitless_while_nothing_is_written_and_none_gives_the_job_back(
    shelf: Shelf,
) -> None:
    async def counts() -> list[int]:
        found = [(await claim(shelf)).fruitless]
        for num_parts in (0, 0, 3, 3):
            newest = await newest_claim(shelf, JOB)
            held = await claim(shelf, newest, num_parts=num_parts)
            found.append(held.fruitless)
        await held.release()
        found.append((await claim(shelf, await newest_claim(shelf, JOB), num_parts=3)).fruitless)
        return found

    assert run(counts()) == [0, 1, 2, 0, 1, 0]


def test_the_first_end_is_the_end(shelf: Shelf) -> None:
    assert run(write_end(shelf, JOB, JobEnd(state="cancelled")))
    assert not run(write_end(shelf, JOB, JobEnd(state="completed")))
