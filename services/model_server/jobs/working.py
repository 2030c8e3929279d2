"""Works a job off: part by part, from where anyone before has left it."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

from components.evaluate import STAGE_VERSION, Answer, Read, Request, measure
from parable.canonical import readable_json
from parable.errors import UserError
from parable.inference import Codec
from services.model_server.engine.base import Engine, EngineError
from services.model_server.jobs.asking import Asker, Unanswered
from services.model_server.jobs.desk import Desk
from services.model_server.jobs.errors import StoreDownError
from services.model_server.jobs.options import JobOptions
from services.model_server.jobs.products import make_products
from services.model_server.jobs.questions import questions
from services.model_server.jobs.records import JobEnd, JobRequest, Pin, Unit
from services.model_server.jobs.rows import Entry, FailedRow, decode_part, encode_part
from services.model_server.jobs.shelf import Shelf
from services.model_server.models.base import ModelError, Models, ServedModel
from services.model_server.models.folders import CheckpointRefusedError

FIRST_WAIT_SECONDS = 0.5
MOST_WAIT_SECONDS = 10.0
logger = logging.getLogger(__name__)
Result = TypeVar("Result")


class GiveUpError(Exception):
    """The job can't be done; the sentence says why."""


class Working:
    """One job in hand."""

    def __init__(
        self, desk: Desk, models: Models, engine: Engine, options: JobOptions, job: JobRequest
    ) -> None:
        """Work on a job that this process has claimed."""
        self._desk = desk
        self._shelf = desk.shelf
        self._models = models
        self._engine = engine
        self._options = options
        self._job = job
        self._num_failed = 0
        self._codec_of: tuple[str, Codec] | None = None

    async def run(self) -> JobEnd:
        """Do all that is left; returns how the job ends, which is then in the store."""
        try:
            await self._run()
            end = JobEnd(state="completed", num_failed=self._num_failed)
        except GiveUpError as error:
            end = JobEnd(state="failed", reason=str(error))
        await self._insist(partial(write_end, self._shelf, self._job, end))
        return end

    async def _run(self) -> None:
        job = self._job
        if job.stage_version != STAGE_VERSION:
            raise GiveUpError(
                f"The questions are of version {job.stage_version} of the stage; this server asks version "
                f"{STAGE_VERSION}. Ask for the evaluation again."
            )
        standing = await self._insist(partial(self._desk.standing, job))
        for unit, num_parts in zip(job.units, standing.parts, strict=True):
            await self._do_unit(unit, num_parts)

    async def _do_unit(self, unit: Unit, first_part: int) -> None:
        order = self._job.order
        task, requests = await asyncio.to_thread(questions, unit.order, order.items, order.settings)
        if task.fingerprint() != self._job.tasks[unit.task] or len(requests) != unit.num_requests:
            raise GiveUpError("This server would ask other questions than those that were begun with.")
        for part in range(first_part, unit.num_parts):
            asked = [requests[number] for number in unit.part_range(part)]
            data = encode_part(await self._insist(partial(self._ask, unit.pin, asked)))
            # One that is there already is as good: another worker was quicker.
            await self._insist(partial(self._shelf.put_new, unit.part_key(part), data))
        await self._finish(unit)

    async def _ask(self, pin: Pin, requests: Sequence[Request]) -> list[Entry]:
        """The rows of one part, all from the pinned weights."""
        size = self._options.batch_requests
        entries: list[Entry] = []
        # Leased anew for every part, so that a long job never keeps other models out of memory.
        async with self._models.lease(pin.pinned) as served:
            if served.digest != pin.digest:
                raise GiveUpError(
                    f"The weights of {pin.pinned} are {served.digest}; the job was asked for {pin.digest}."
                )
            codec = await self._codec(served)
            asker = Asker(self._engine, served.key, codec, self._job.order.settings)
            for start in range(0, len(requests), size):
                batch = requests[start : start + size]
                answers = await asker.ask(batch)
                entries += [_entry(*pair) for pair in zip(batch, answers, strict=True)]
        return entries

    async def _codec(self, served: ServedModel) -> Codec:
        """The model's tokenizer as the stage uses it."""
        if self._codec_of is None or self._codec_of[0] != served.key:
            control = self._job.order.settings.control
            try:
                codec = await asyncio.to_thread(served.codec.documents)
                if control is not None:
                    codec.special(control)
            except UserError as error:
                raise GiveUpError(f"{served.pinned} can't be asked this: {error}") from error
            self._codec_of = served.key, codec
        return self._codec_of[1]

    async def _finish(self, unit: Unit) -> None:
        parts = [await self._insist(partial(self._part, unit, part)) for part in range(unit.num_parts)]
        entries = [entry for part in parts for entry in part]
        self._num_failed += sum(isinstance(entry, FailedRow) for entry in entries)
        products = await asyncio.to_thread(make_products, entries, self._job.order.settings)
        for name, data in products.items():
            await self._insist(partial(self._shelf.put_new, unit.key(name), data))

    async def _part(self, unit: Unit, part: int) -> list[Entry]:
        data = await self._shelf.get(unit.part_key(part))
        assert data is not None, "parts are never removed"
        return decode_part(data)

    async def _insist(self, act: Callable[[], Awaitable[Result]]) -> Result:
        """Try until it is done; the store may be away for ever, the model and the engine not.

        Raises:
            GiveUpError: the checkpoint is refused, or the model or the engine has failed for too long.
        """
        began, wait = time.monotonic(), FIRST_WAIT_SECONDS
        while True:
            try:
                return await act()
            except StoreDownError:
                began = time.monotonic()
            except CheckpointRefusedError as error:
                raise GiveUpError(str(error)) from error  # It would be refused again.
            except (ModelError, EngineError) as error:
                logger.warning("%s waits: %s", self._job.id, error)
                if time.monotonic() - began > self._options.patience_seconds:
                    raise GiveUpError(str(error)) from error
            await asyncio.sleep(wait)
            wait = min(2 * wait, MOST_WAIT_SECONDS)


async def write_end(shelf: Shelf, job: JobRequest, end: JobEnd) -> bool:
    """End a job; False where it has ended otherwise already."""
    return await shelf.put_new(job.end_key, readable_json(end.to_plain()))


def _entry(request: Request, answer: Answer | Unanswered) -> Entry:
    if isinstance(answer, Answer):
        return measure(request, answer)
    item = request.document.id if isinstance(request, Read) else request.item.id
    return FailedRow(request.metric, item, answer.reason)
