"""`/v1/evaluations`: evaluations as jobs that any replica finishes and answers for."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Header, Path, Query, Request
from starlette.responses import Response

from services.model_server.access.guard import caller_of
from services.model_server.access.scopes import Scope, needs
from services.model_server.api.errors import ApiError, invalid
from services.model_server.api.schemas.common import ModelName
from services.model_server.api.schemas.errors import ErrorAnswer, declared
from services.model_server.api.schemas.evaluations import (
    CompareRequest,
    EvaluatedField,
    EvaluationId,
    EvaluationRequest,
    IdempotencyKey,
)
from services.model_server.api.sse import DONE, EventStream
from services.model_server.jobs.errors import JobError
from services.model_server.jobs.order import MAX_TASKS
from services.model_server.jobs.records import Unit
from services.model_server.jobs.service import JobService, Owner
from services.model_server.jobs.views import Compared, JobPage, JobView, ResultPage, RowPage
from services.model_server.server import server_of

router = APIRouter(tags=["Evaluations"], prefix="/v1/evaluations")
Id = Annotated[str, Path(description="As `POST /v1/evaluations` gave it.")]
ModelChoice = Annotated[
    ModelName | None, Query(description="One of the evaluation's models, where it has several.")
]
TaskChoice = Annotated[int, Query(ge=0, lt=MAX_TASKS, description="One of its tasks, by number.")]
_ERRORS = {
    **declared(),
    409: {"model": ErrorAnswer, "description": "The evaluation is not where this can be asked of it."},
}
_BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}


def _answers(model: Any, status: int = 200) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": model}, **_ERRORS}


@router.post("", status_code=202, responses=_answers(JobView, 202), response_class=Response)
@needs(Scope.EVALUATE, Scope.ADMIN)
async def submit(
    request: Request,
    body: EvaluationRequest,
    idempotency_key: Annotated[IdempotencyKey | None, Header()] = None,
) -> Response:
    """Ask for an evaluation. Once this is answered it is in the store, and some replica will finish it."""
    if None not in (idempotency_key, body.idempotency_key) and idempotency_key != body.idempotency_key:
        raise invalid("The header Idempotency-Key and the body name different keys.", "idempotency_key")
    with _refusals():
        view = await _jobs(request).submit(
            _owner(request), body.order(), idempotency_key or body.idempotency_key
        )
    return _json(view, 202, {"location": f"/v1/evaluations/{view.id}"})


@router.get("", responses=_answers(JobPage), response_class=Response)
@needs(Scope.EVALUATE, Scope.ADMIN)
async def list_all(
    request: Request,
    after: Annotated[EvaluationId | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> Response:
    """Your evaluations, the newest first; with the scope admin everyone's."""
    with _refusals():
        return _json(await _jobs(request).list(_owner(request), after=after, limit=limit))


@router.post("/compare", responses=_answers(Compared), response_class=Response)
@needs(Scope.EVALUATE, Scope.ADMIN)
async def compare(request: Request, body: CompareRequest) -> Response:
    """Compare two checkpoints, or two groups of seeds, that were asked the same.

    With several pairs the intervals are over seeds; with one pair over its items, which is labelled so.
    """
    with _refusals():
        baseline = await _side(request, body.baseline)
        candidate = await _side(request, body.candidate)
        return _json(await _jobs(request).results.compare(baseline, candidate, confidence=body.confidence))


@router.get("/{evaluation}", responses=_answers(JobView), response_class=Response)
@needs(Scope.EVALUATE, Scope.ADMIN)
async def get(request: Request, evaluation: Id) -> Response:
    """How an evaluation stands."""
    if evaluation == "compare":
        raise ApiError(
            405, "Comparisons are asked for by POST.", code="wrong_method", headers={"allow": "POST"}
        )
    with _refusals():
        return _json(await _jobs(request).get(_owner(request), evaluation))


@router.post("/{evaluation}/cancel", responses=_answers(JobView), response_class=Response)
@needs(Scope.EVALUATE, Scope.ADMIN)
async def cancel(request: Request, evaluation: Id) -> Response:
    """End an evaluation; the rows that it has stay."""
    with _refusals():
        return _json(await _jobs(request).cancel(_owner(request), evaluation))


@router.get("/{evaluation}/results", responses=_answers(ResultPage), response_class=Response)
@needs(Scope.EVALUATE, Scope.ADMIN)
async def results(request: Request, evaluation: Id) -> Response:
    """The report of every model and task that is finished, with intervals over items, and tables by slice."""
    jobs = _jobs(request)
    with _refusals():
        found = await jobs.find(_owner(request), evaluation)
        return _json(await jobs.results.page(found.job))


@router.get("/{evaluation}/rows", responses=_answers(RowPage), response_class=Response)
@needs(Scope.EVALUATE, Scope.ADMIN)
async def rows(
    request: Request,
    evaluation: Id,
    model: ModelChoice = None,
    task: TaskChoice = 0,
    after: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Response:
    """Rows item by item, also while the evaluation runs."""
    with _refusals():
        unit = await _unit(request, evaluation, model, task)
        return _json(await _jobs(request).results.rows(unit, after=after, limit=limit))


@router.get(
    "/{evaluation}/items.parquet",
    responses={
        200: {"content": {"application/vnd.apache.parquet": _BINARY}, "description": "All rows."},
        **_ERRORS,
    },
    response_class=Response,
)
@needs(Scope.EVALUATE, Scope.ADMIN)
async def parquet(
    request: Request, evaluation: Id, model: ModelChoice = None, task: TaskChoice = 0
) -> Response:
    """All rows of one model and task, as the pipeline's stage writes them."""
    with _refusals():
        unit = await _unit(request, evaluation, model, task)
        data = await _jobs(request).results.parquet(unit)
    return Response(data, media_type="application/vnd.apache.parquet")


@router.get(
    "/{evaluation}/events",
    responses={
        200: {
            "content": {"text/event-stream": {}},
            "description": "The evaluation again whenever it has got on, until it has ended, then `[DONE]`.",
        },
        **_ERRORS,
    },
    response_class=Response,
)
@needs(Scope.EVALUATE, Scope.ADMIN)
async def events(request: Request, evaluation: Id) -> Response:
    """Progress as server-sent events."""
    views = _jobs(request).watch(_owner(request), evaluation)
    with _refusals():
        # The first one here, so that what is refused has a status of its own.
        first = await anext(views)

    async def stream() -> AsyncGenerator[bytes, None]:
        yield _event(first)
        with _refusals():
            async for view in views:
                yield _event(view)
        yield DONE

    keepalive = server_of(request).settings.keepalive_seconds
    return EventStream(stream(), release=views.aclose, keepalive_seconds=keepalive)


def _jobs(request: Request) -> JobService:
    jobs = server_of(request).jobs
    if jobs is None:
        raise ApiError(503, "The server has no store, and evaluations rest in one.", code="store_unavailable")
    return jobs


def _owner(request: Request) -> Owner:
    caller = caller_of(request.scope)
    return Owner(caller.name, sees_all=Scope.ADMIN in caller.scopes)


async def _unit(request: Request, evaluation: str, model: str | None, task: int) -> Unit:
    jobs = _jobs(request)
    found = await jobs.find(_owner(request), evaluation)
    return jobs.results.unit(found.job, model, task)


async def _side(request: Request, fields: tuple[EvaluatedField, ...]) -> list[Unit]:
    jobs, units = _jobs(request), []
    for field in fields:
        found = await jobs.find(_owner(request), field.evaluation)
        units += jobs.results.units(found.job, field.model, field.task)
    return units


@contextmanager
def _refusals() -> Iterator[None]:
    """What a job can't be asked becomes an answer."""
    try:
        yield
    except JobError as error:
        raise ApiError(
            error.status, error.message, param=error.param, code=error.code, retry_after=error.retry_after
        ) from error


def _json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(_bytes(value), status, headers, media_type="application/json")


def _event(value: Any) -> bytes:
    return b"data: " + _bytes(value) + b"\n\n"


def _bytes(value: Any) -> bytes:
    return orjson.dumps(value, default=_plain)


def _plain(value: Any) -> Any:
    return value.to_plain()
