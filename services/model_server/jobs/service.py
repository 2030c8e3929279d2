"""Evaluation jobs as a server offers them: everything but HTTP."""

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from components.evaluate import STAGE_VERSION
from parable.canonical import readable_json
from parable.store import ObjectStore
from services.model_server.engine.base import Engine
from services.model_server.jobs.desk import Desk, Listed
from services.model_server.jobs.errors import (
    InvalidJobError,
    JobConflictError,
    ServerGoingDownError,
    StoreDownError,
    TooManyJobsError,
    UnknownJobError,
)
from services.model_server.jobs.options import JobOptions
from services.model_server.jobs.order import JobOrder
from services.model_server.jobs.questions import count_bound, questions
from services.model_server.jobs.records import JOB_ID, JobEnd, JobRequest, Pin, job_id, owner_folder
from services.model_server.jobs.results import Results
from services.model_server.jobs.shelf import Shelf
from services.model_server.jobs.views import JobPage, JobView, job_view, page_of
from services.model_server.jobs.worker import Worker
from services.model_server.jobs.working import write_end
from services.model_server.models.base import Models
from services.model_server.models.names import ProductName

if TYPE_CHECKING:
    from components.evaluate import Request, Task


@dataclass(frozen=True, slots=True)
class Owner:
    """Who asks; an administrator sees everyone's jobs."""

    name: str
    sees_all: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """A job and when it was asked for."""

    job: JobRequest
    created: float


class JobService:
    """Jobs over a store. Every method raises `StoreDownError` while that can't be reached."""

    def __init__(
        self, store: ObjectStore, models: Models, engine: Engine, options: JobOptions | None = None
    ) -> None:
        """Offer jobs; `start` begins to work on them."""
        self._options = options or JobOptions()
        self._models = models
        self._shelf = Shelf(store, patience_seconds=self._options.store_seconds)
        self._desk = Desk(self._shelf)
        self._worker = Worker(self._desk, models, engine, self._options)
        self._num_streams = 0
        self._draining = False
        self._submitting: dict[str, asyncio.Lock] = {}
        self.results = Results(self._desk)

    def start(self) -> None:
        """Begin to work; models and engine must be up, the store need not."""
        self._worker.start()

    def drain(self) -> None:
        """Give back what is in hand, so that another replica goes on with it at once; streams end."""
        self._draining = True
        self._worker.drain()

    async def stop(self) -> None:
        """Drain, and wait until that is done."""
        self.drain()
        await self._worker.stop()
        self._shelf.close()

    @property
    def busy(self) -> bool:
        """Whether a job is in hand here."""
        return self._worker.job is not None

    async def submit(self, owner: Owner, order: JobOrder, idempotency_key: str | None) -> JobView:
        """Take a job; when this returns it is in the store, and will be done.

        Raises:
            InvalidJobError: it asks for what can't be.
            JobConflictError: the key was used for another request.
            TooManyJobsError: the owner has too many unfinished jobs.
            UnknownModelError: a model is not there.
        """
        name = job_id(owner.name, secrets.token_hex(16) if idempotency_key is None else idempotency_key)
        # Those of one owner one after another: else many at once would each see room for one more.
        async with self._submitting.setdefault(owner.name, asyncio.Lock()):
            before = await self._find_own(owner.name, name)
            if before is None:
                job = await self._make(owner, order, name)
                await self._check_room(owner)
                if await self._shelf.put_new(job.request_key, readable_json(job.to_plain())):
                    self._worker.wake()
                before = await self._find_own(owner.name, name)
        if before is None:
            raise JobConflictError(
                "This idempotency key was used for a request that this version of the server can't read. "
                "Take another key.",
                param="idempotency_key",
            )
        if before.job.order != order:
            raise JobConflictError(
                "This idempotency key was used for another request. Take another key, or send the same body.",
                param="idempotency_key",
            )
        return await self._view(before)

    async def get(self, owner: Owner, name: str) -> JobView:
        """How a job stands.

        Raises:
            UnknownJobError: the owner has none of this id.
        """
        return await self._view(await self.find(owner, name))

    async def list(self, owner: Owner, *, after: str | None, limit: int) -> JobPage:
        """An owner's jobs, the newest first."""
        listed = await self._desk.listed(None if owner.sees_all else owner.name)
        shown, following = page_of(listed, after=after, limit=limit)
        views = [await self._listed_view(one) for one in shown]
        return JobPage("list", [view for view in views if view is not None], following)

    async def cancel(self, owner: Owner, name: str) -> JobView:
        """End a job; its rows stay.

        Raises:
            UnknownJobError: the owner has none of this id.
            JobConflictError: it has ended otherwise.
        """
        found = await self.find(owner, name)
        await write_end(self._shelf, found.job, JobEnd(state="cancelled"))
        view = await self._view(found)
        if view.status != "cancelled":
            raise JobConflictError(f"The evaluation is {view.status} already.")
        self._worker.drop(name)
        return view

    async def watch(self, owner: Owner, name: str) -> AsyncGenerator[JobView, None]:
        """How a job stands, again whenever that changes, until it has ended. An outage is sat out.

        Raises:
            UnknownJobError: the owner has none of this id.
            TooManyJobsError: too many watch.
            ServerGoingDownError: this server goes down meanwhile.
        """
        if self._num_streams >= self._options.max_streams:
            raise TooManyJobsError(f"{self._num_streams} streams are open; poll the evaluation instead.")
        self._num_streams += 1
        try:
            found = await self.find(owner, name)
            view = await self._view(found)
            yield view
            while view.status in ("queued", "running"):
                if self._draining:
                    raise ServerGoingDownError("The server is going down; ask another one.")
                await asyncio.sleep(min(1.0, self._options.poll_seconds))
                with suppress(StoreDownError):
                    before, view = view, await self._view(found)
                    if view != before:
                        yield view
        finally:
            self._num_streams -= 1

    async def find(self, owner: Owner, name: str) -> Found:
        """A job by its id.

        Raises:
            UnknownJobError: the owner has none of this id.
        """
        is_id = JOB_ID.fullmatch(name) is not None
        found = await self._find_own(owner.name, name) if is_id else None
        if found is None and is_id and owner.sees_all:
            listed = [one for one in await self._desk.listed(None) if one.id == name]
            job = await self._desk.request(listed[0].request_key) if listed else None
            found = None if job is None else Found(job, listed[0].created)
        if found is None:
            raise UnknownJobError("There is no evaluation of this id; GET /v1/evaluations lists yours.")
        return found

    async def _find_own(self, owner: str, name: str) -> Found | None:
        key = Listed(owner_folder(owner), name, 0.0).request_key
        job = await self._desk.request(key)
        if job is None:
            return None
        info = await self._shelf.ask(partial(self._shelf.store.stat, key))
        return Found(job, time.time() if info is None else info.modified_seconds)

    async def _listed_view(self, one: Listed) -> JobView | None:
        job = await self._desk.request(one.request_key)
        if job is None:
            return None
        return job_view(job, one.created, await self._desk.standing(job), with_request=False)

    async def _view(self, found: Found) -> JobView:
        standing = await self._desk.standing(found.job)
        return job_view(found.job, found.created, standing, with_request=True)

    async def _make(self, owner: Owner, order: JobOrder, name: str) -> JobRequest:
        pins = tuple(self._pin(model) for model in order.models)
        most = len(pins) * sum(map(count_bound, order.tasks))
        if most > self._options.max_requests:
            raise InvalidJobError(
                f"The tasks come to as many as {most:,} questions over {len(pins)} models; "
                f"{self._options.max_requests:,} are possible. Split the evaluation.",
                param="tasks",
            )
        asked: Sequence[tuple[Task, tuple[Request, ...]]] = [
            await asyncio.to_thread(questions, task, order.items, order.settings) for task in order.tasks
        ]
        return JobRequest(
            id=name,
            owner=owner.name,
            order=order,
            models=pins,
            tasks=tuple(task.fingerprint() for task, _ in asked),
            num_requests=tuple(len(requests) for _, requests in asked),
            part_requests=self._options.part_requests,
            stage_version=STAGE_VERSION,
        )

    def _pin(self, asked: str) -> Pin:
        found = self._models.describe(asked)
        _, _, product = found.artifact.partition("/")
        return Pin(
            asked=asked,
            name=found.name,
            pinned=str(ProductName(product, found.step)),
            digest=found.digest,
            artifact=found.artifact,
            seed=found.seed,
            step=found.step,
        )

    async def _check_room(self, owner: Owner) -> None:
        num_open = len(await self._desk.unfinished(owner.name))
        if num_open >= self._options.max_open_per_owner:
            raise TooManyJobsError(
                f"{num_open} evaluations of yours are unfinished, and no more are possible. Wait for one, or "
                "cancel one."
            )
