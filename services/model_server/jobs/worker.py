"""The worker of a replica: looks for jobs that nobody works on, and works on one at a time."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from services.model_server.engine.base import Engine
from services.model_server.jobs.claims import MOST_FRUITLESS, ClaimWatch, HeldClaim, newest_claim, take
from services.model_server.jobs.desk import Desk, Listed
from services.model_server.jobs.errors import StoreDownError
from services.model_server.jobs.options import JobOptions
from services.model_server.jobs.records import JobEnd, JobRequest
from services.model_server.jobs.working import Working, write_end
from services.model_server.models.base import Models

_PATIENCE_SECONDS = 1.0
_GIVING_BACK_SECONDS = 5.0
"""How long the end of the server waits for the store to take a job back; after that its claim expires."""
logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _InHand:
    job: JobRequest
    task: "asyncio.Task[JobEnd]"


class Worker:
    """One job at a time, so that its rows do not depend on what else is evaluated here."""

    def __init__(self, desk: Desk, models: Models, engine: Engine, options: JobOptions) -> None:
        """Nothing is begun yet."""
        self._desk = desk
        self._models = models
        self._engine = engine
        self._options = options
        self._watch = ClaimWatch(options.expire_seconds)
        self._news = asyncio.Event()
        self._in_hand: _InHand | None = None
        self._loop: asyncio.Task[None] | None = None
        self._giving_back: asyncio.Task[None] | None = None
        self._last_served: dict[str, int] = {}
        self._num_served = 0
        self._stopping = False

    def start(self) -> None:
        """Begin to look for jobs."""
        self._loop = asyncio.create_task(self._run(), name="evaluation jobs")
        self._loop.add_done_callback(_report)

    def drain(self) -> None:
        """Begin to give back the job in hand, and look no more."""
        if self._loop is not None and not self._stopping:
            self._stopping = True
            self._loop.cancel()

    async def stop(self) -> None:
        """Drain, and wait until that is done."""
        self.drain()
        if self._loop is not None:
            await _end(self._loop)
        if self._giving_back is not None:
            await asyncio.wait({self._giving_back}, timeout=_GIVING_BACK_SECONDS)

    def wake(self) -> None:
        """Look now: there is a new job."""
        self._news.set()

    def drop(self, job_id: str) -> None:
        """Stop working on a job that has ended."""
        if self._in_hand is not None and self._in_hand.job.id == job_id:
            self._in_hand.task.cancel()

    @property
    def job(self) -> str | None:
        """The job in hand."""
        return None if self._in_hand is None else self._in_hand.job.id

    async def _run(self) -> None:
        while True:
            self._news.clear()
            try:
                found = await self._claim_one()
            except StoreDownError:
                found = None
            if found is None:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._options.poll_seconds):
                        await self._news.wait()
            else:
                await self._work(*found)

    async def _claim_one(self) -> tuple[JobRequest, HeldClaim] | None:
        open_jobs = await self._desk.unfinished(None)
        self._watch.keep_only({one.id for one in open_jobs})
        for one in self._in_turn(open_jobs):
            try:
                found = await self._claim(one)
            except ValidationError as error:
                # Another version wrote it: that must not keep this one from all other jobs.
                logger.warning("%s is passed over: %s", one.id, error)
                continue
            if found is not None:
                self._num_served += 1
                self._last_served[one.owner_folder] = self._num_served
                return found
        return None

    async def _claim(self, one: Listed) -> tuple[JobRequest, HeldClaim] | None:
        job = await self._desk.request(one.request_key)
        if job is None:
            return None
        newest = await newest_claim(self._desk.shelf, job)
        if newest is not None and not self._watch.has_expired(job.id, newest):
            return None
        num_parts = sum((await self._desk.standing(job)).parts)
        taking = asyncio.create_task(take(self._desk.shelf, job, after=newest, num_parts=num_parts))
        try:
            claim = await asyncio.shield(taking)
        except asyncio.CancelledError:
            # The store may take the claim all the same, and nobody would work on the job until it expires.
            self._giving_back = asyncio.create_task(_give_back(taking), name=f"give back {job.id}")
            raise
        return None if claim is None else (job, claim)

    def _in_turn(self, listed: Sequence[Listed]) -> list[Listed]:
        """The owner who was served longest ago first, and of each the oldest: many jobs buy no precedence."""
        return sorted(
            listed, key=lambda one: (self._last_served.get(one.owner_folder, 0), one.created, one.id)
        )

    async def _work(self, job: JobRequest, claim: HeldClaim) -> None:
        logger.info("%s begins here", job.id)
        task = asyncio.create_task(self._do(job, claim), name=f"work on {job.id}")
        keeper = asyncio.create_task(claim.keep(self._options), name=f"claim on {job.id}")
        self._in_hand = _InHand(job, task)
        stopping = True
        try:
            await asyncio.wait({task, keeper}, return_when=asyncio.FIRST_COMPLETED)
            stopping = False
        finally:
            self._in_hand = None
            await _end(task, keeper)
            is_done = not task.cancelled() and task.exception() is None
            if stopping and not is_done:
                self._giving_back = asyncio.create_task(claim.release(), name=f"give back {job.id}")
        if is_done:
            logger.info("%s %s", job.id, task.result().state)
        elif not task.cancelled():
            # The claim is left to expire: so many in a row end the job.
            logger.error("%s broke off", job.id, exc_info=task.exception())

    async def _do(self, job: JobRequest, claim: HeldClaim) -> JobEnd:
        if claim.fruitless >= MOST_FRUITLESS:
            reason = f"{claim.fruitless} workers in a row ended over it before they had written anything."
            end = JobEnd(state="failed", reason=reason)
            await write_end(self._desk.shelf, job, end)
            return end
        return await Working(self._desk, self._models, self._engine, self._options, job).run()


async def _give_back(taking: "asyncio.Task[HeldClaim | None]") -> None:
    with suppress(StoreDownError):
        if (claim := await taking) is not None:
            await claim.release()


async def _end(*tasks: "asyncio.Task[Any]") -> None:
    """Cancel tasks until they have ended: what they wait for may let one cancellation slip."""
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_PATIENCE_SECONDS)


def _report(loop: "asyncio.Task[None]") -> None:
    if not loop.cancelled() and (error := loop.exception()) is not None:
        logger.critical("nobody works on evaluations here any longer", exc_info=error)
