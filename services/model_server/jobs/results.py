"""What finished units hold, read from the store."""

import asyncio
from collections.abc import Sequence
from typing import Any

import orjson

from components.evaluate import Row
from parable.corpus import read_parquet
from services.model_server.jobs.compare import Evaluated, compare, pair
from services.model_server.jobs.desk import Desk, Standing
from services.model_server.jobs.errors import InvalidJobError, JobConflictError
from services.model_server.jobs.products import ITEMS, ITEMS_ONLY, REPORT, SLICES
from services.model_server.jobs.records import JobRequest, Unit
from services.model_server.jobs.rows import Entry, decode_part, read_row
from services.model_server.jobs.views import Compared, ResultPage, RowPage, UnitResult, model_view, row_view

MOST_PAIRS = 64


class Results:
    """Reads results. Every method raises `StoreDownError` while the store can't be reached."""

    def __init__(self, desk: Desk) -> None:
        """Read what a desk knows of."""
        self._desk = desk
        self._shelf = desk.shelf

    async def page(self, job: JobRequest) -> ResultPage:
        """Every unit that is finished."""
        standing = await self._desk.standing(job)
        found = [
            await self._unit(unit, standing, number)
            for number, unit in enumerate(job.units)
            if standing.parts[number] == unit.num_parts
        ]
        results = [result for result in found if result is not None]
        return ResultPage(job.id, "evaluation.results", standing.state, results)

    async def rows(self, unit: Unit, *, after: int, limit: int) -> RowPage:
        """Rows from number `after` on."""
        size = unit.job.part_requests
        rows: list[dict[str, Any]] = []
        number = min(after, unit.num_requests)
        while number < unit.num_requests and len(rows) < limit:
            entries = await self._part(unit, number // size)
            if entries is None:
                end = await self._desk.end(unit.job)
                if end is not None and end.state != "completed":
                    return RowPage(unit.job.id, "evaluation.rows", unit.num_requests, rows, None)
                break
            first = number % size
            taken = entries[first : first + limit - len(rows)]
            rows += [row_view(entry) for entry in taken]
            number += len(taken)
        following = None if number >= unit.num_requests else number
        return RowPage(unit.job.id, "evaluation.rows", unit.num_requests, rows, following)

    async def parquet(self, unit: Unit) -> bytes:
        """The rows of a finished unit as parquet.

        Raises:
            JobConflictError: it is not finished.
        """
        return await self._product(unit, ITEMS)

    def unit(self, job: JobRequest, model: str | None, task: int) -> Unit:
        """A unit by its model's name and its task's number.

        Raises:
            InvalidJobError: it is not in the job, or the model must be named.
        """
        units = self.units(job, model, task)
        if len(units) > 1:
            raise InvalidJobError(
                f"The evaluation has {len(job.models)} models; name one: {', '.join(_names(job))}.",
                param="model",
            )
        return units[0]

    def units(self, job: JobRequest, model: str | None, task: int) -> list[Unit]:
        """The units of one task, of the named model or of all.

        Raises:
            InvalidJobError: there is no such model or task.
        """
        if task >= len(job.tasks):
            raise InvalidJobError(
                f"The evaluation has {len(job.tasks)} tasks; they count from 0.", param="task"
            )
        chosen = [
            number
            for number, pin in enumerate(job.models)
            if model is None or model in (pin.name, pin.asked, pin.pinned)
        ]
        if not chosen:
            raise InvalidJobError(
                f"The evaluation has no model {model!r}; it has {', '.join(_names(job))}.", param="model"
            )
        return [job.unit(number, task) for number in chosen]

    async def compare(
        self, baseline: Sequence[Unit], candidate: Sequence[Unit], *, confidence: float
    ) -> Compared:
        """Candidate minus baseline.

        Raises:
            InvalidJobError: the sides have not as many checkpoints, or were asked other things.
            JobConflictError: one is not finished.
        """
        if len(baseline) != len(candidate):
            raise InvalidJobError(
                f"The baseline has {len(baseline)} checkpoints and the candidate {len(candidate)}: they are "
                "compared in pairs, so give as many of each.",
                param="candidate",
            )
        if len(baseline) > MOST_PAIRS:
            raise InvalidJobError(f"{MOST_PAIRS} pairs are possible.", param="candidate")
        if len({_asked(unit) for unit in (*baseline, *candidate)}) > 1:
            raise InvalidJobError(
                "The evaluations did not ask the same: items, metrics and sampling must be equal.",
                param="candidate",
            )
        with_rows = len(baseline) == 1
        ours = [await self._evaluated(unit, with_rows=with_rows) for unit in candidate]
        theirs = [await self._evaluated(unit, with_rows=with_rows) for unit in baseline]
        paired_by, pairs = pair(theirs, ours)
        found = await asyncio.to_thread(compare, pairs, confidence=confidence)
        names = [(one.model, other.model) for one, other in pairs]
        return Compared(object="evaluation.comparison", paired_by=paired_by, pairs=names, **found)

    async def _evaluated(self, unit: Unit, *, with_rows: bool) -> Evaluated:
        report = orjson.loads(await self._product(unit, REPORT))
        rows: tuple[Row, ...] = ()
        if with_rows:
            data = await self._product(unit, ITEMS)
            rows = await asyncio.to_thread(_read_rows, data)
        return Evaluated(unit.pin.name, unit.pin.seed, report, rows)

    async def _unit(self, unit: Unit, standing: Standing, number: int) -> UnitResult | None:
        data = [await self._shelf.get(unit.key(name)) for name in (REPORT, SLICES)]
        if data[0] is None or data[1] is None:
            return None
        report, slices = (orjson.loads(one) for one in data if one is not None)
        return UnitResult(
            model=model_view(unit.job, unit.model, standing.done[number], unit.num_requests),
            task=unit.task,
            interval=ITEMS_ONLY,
            identity=_identity(unit),
            report=report,
            slices=slices["slices"],
            num_rows=slices["num_rows"],
            num_failed=slices["num_failed"],
            failures=slices["failures"],
            items=f"{self._shelf.store.uri}/{unit.key(ITEMS)}",
        )

    async def _product(self, unit: Unit, name: str) -> bytes:
        data = await self._shelf.get(unit.key(name))
        if data is None:
            raise JobConflictError(f"{unit.pin.name} in {unit.job.id} is not finished.")
        return data

    async def _part(self, unit: Unit, part: int) -> list[Entry] | None:
        data = await self._shelf.get(unit.part_key(part))
        return None if data is None else decode_part(data)


def _names(job: JobRequest) -> list[str]:
    return [pin.name for pin in job.models]


def _read_rows(data: bytes) -> tuple[Row, ...]:
    return tuple(map(read_row, read_parquet(data).to_pylist()))


def _identity(unit: Unit) -> dict[str, Any]:
    """The stage's `config` as far as it holds here: the engine's numerics are its own."""
    settings, metrics = unit.job.order.settings, unit.job.order.items.metrics
    return {
        "stage": "evaluate",
        "stage_version": unit.job.stage_version,
        "task": unit.job.tasks[unit.task],
        "metrics": None if metrics is None else sorted(metrics),
        "sampling": settings.sampling.to_plain() if settings.sampling.per_item else None,
        "headline": settings.headline.to_plain(),
        "confidence": settings.confidence,
        "control": settings.control,
        "model": unit.pin.artifact,
        "weights": unit.pin.digest,
    }


def _asked(unit: Unit) -> str:
    """What two units must share to be compared."""
    identity = _identity(unit)
    return orjson.dumps(
        [identity[name] for name in ("stage_version", "task", "metrics", "sampling")]
    ).decode()
