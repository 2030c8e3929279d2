"""KServe's open inference protocol, version 2: a model's version is the checkpoint's step."""

from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from services.model_server.access.scopes import Scope, needs, open_to_all
from services.model_server.api.completion_pieces import CompletionPieces
from services.model_server.api.disconnect import unless_gone
from services.model_server.api.entry import Ticket, enter
from services.model_server.api.errors import ApiError, invalid
from services.model_server.api.plan import plan_completion
from services.model_server.api.schemas.completions import CompletionRequest
from services.model_server.api.schemas.errors import declared
from services.model_server.api.schemas.kserve import (
    InferAnswer,
    InferRequest,
    Live,
    ModelMetadata,
    ModelReady,
    OutputTensor,
    Ready,
    ServerMetadata,
    TensorMetadata,
)
from services.model_server.models.base import ModelDescriptor
from services.model_server.server import server_of
from services.model_server.telemetry.record import record_of

# Triton's client sends JSON and does not say so. A page of another site is known by its origin.
router = APIRouter(tags=["KServe"], strict_content_type=False)
_ERRORS = declared(kserve=True)
_READINESS: dict[int | str, dict[str, Any]] = {
    **_ERRORS,
    200: {"model": ModelReady},
    503: {"model": ModelReady},
}


@router.get("/v2/", include_in_schema=False)
@router.get("/v2", responses={200: {"model": ServerMetadata}, **_ERRORS}, response_class=Response)
@needs(Scope.INFER, Scope.EVALUATE, Scope.ADMIN)
async def server_metadata(request: Request) -> Response:
    """What this server is."""
    del request
    return _json(ServerMetadata("parable", version("parable"), []))


@router.get("/v2/health/live", responses={200: {"model": Live}, **_ERRORS}, response_class=Response)
@open_to_all
async def live(request: Request) -> Response:
    """It answers, so it lives."""
    del request
    return _json(Live(True))


@router.get(
    "/v2/health/ready",
    responses={**_ERRORS, 200: {"model": Ready}, 503: {"model": Ready}},
    response_class=Response,
)
@open_to_all
async def ready(request: Request) -> Response:
    """Whether requests should be sent here."""
    is_ready = server_of(request).not_ready() is None
    return _json(Ready(is_ready), 200 if is_ready else 503)


@router.get(
    "/v2/models/{name}", responses={200: {"model": ModelMetadata}, **_ERRORS}, response_class=Response
)
@needs(Scope.INFER, Scope.EVALUATE, Scope.ADMIN)
async def model_metadata(request: Request, name: str) -> Response:
    """What a model takes and gives."""
    return _metadata(request, _describe(request, name))


@router.get(
    "/v2/models/{name}/versions/{step}",
    responses={200: {"model": ModelMetadata}, **_ERRORS},
    response_class=Response,
)
@needs(Scope.INFER, Scope.EVALUATE, Scope.ADMIN)
async def version_metadata(request: Request, name: str, step: str) -> Response:
    """What one checkpoint takes and gives."""
    return _metadata(request, _describe(request, name, step))


@router.get("/v2/models/{name}/ready", responses=_READINESS, response_class=Response)
@needs(Scope.INFER, Scope.EVALUATE, Scope.ADMIN)
async def model_ready(request: Request, name: str) -> Response:
    """Whether a model can answer; one that is not loaded yet is loaded when it is first asked."""
    return _ready(request, _describe(request, name))


@router.get("/v2/models/{name}/versions/{step}/ready", responses=_READINESS, response_class=Response)
@needs(Scope.INFER, Scope.EVALUATE, Scope.ADMIN)
async def version_ready(request: Request, name: str, step: str) -> Response:
    """Whether one checkpoint can answer."""
    return _ready(request, _describe(request, name, step))


@router.post(
    "/v2/models/{name}/infer", responses={200: {"model": InferAnswer}, **_ERRORS}, response_class=Response
)
@needs(Scope.INFER)
async def infer(request: Request, name: str, body: InferRequest) -> Response:
    """Continue texts."""
    return await _infer(request, name, body)


@router.post(
    "/v2/models/{name}/versions/{step}/infer",
    responses={200: {"model": InferAnswer}, **_ERRORS},
    response_class=Response,
)
@needs(Scope.INFER)
async def infer_version(request: Request, name: str, step: str, body: InferRequest) -> Response:
    """Continue texts by one checkpoint."""
    return await _infer(request, _describe(request, name, step).name, body)


async def _infer(request: Request, name: str, body: InferRequest) -> Response:
    server_of(request).models.describe(name)
    texts = body.inputs[0]
    shapes = ((len(texts.data),), (len(texts.data), 1))
    if texts.shape not in shapes:
        raise invalid(f"inputs.0.shape is {list(texts.shape)}, and data holds {len(texts.data)} texts.")
    given = {}
    if body.parameters is not None:
        given = body.parameters.model_dump(exclude_none=True, exclude={"binary_data_output"})
    completion = CompletionRequest.model_validate(
        {"model": name, "prompt": list(texts.data), **given}, strict=False
    )
    ticket = await unless_gone(
        request, enter(request, name, lambda served: plan_completion(completion, served), stream=False)
    )
    return await unless_gone(request, _answer(ticket, completion, body))


async def _answer(ticket: Ticket, completion: CompletionRequest, body: InferRequest) -> Response:
    pieces = CompletionPieces(ticket, completion)
    texts: dict[int, str] = {}
    async with ticket.stack:
        async for choices in pieces.run():
            for choice in choices:
                texts[choice.index] = texts.get(choice.index, "") + choice.text
            pieces.note_end(choices)
    output = OutputTensor("text", list(body.inputs[0].shape), "BYTES", [texts[n] for n in sorted(texts)])
    served = ticket.served
    told = asdict(InferAnswer(served.name, str(served.step), [output], body.id))
    if body.id is None:
        # The protocol knows no null: a request without an id is answered without one.
        del told["id"]
    return _json(told)


def _describe(request: Request, name: str, step: str | None = None) -> ModelDescriptor:
    models = server_of(request).models
    found = models.describe(name)
    if step is not None:
        if str(found.step) != step:
            found = models.describe(f"{found.name.rpartition('@')[0]}@{step}")
        if str(found.step) != step:
            raise ApiError(404, f"{name} has no version {step}.")
    record_of(request.scope).weights = found.digest
    return found


def _metadata(request: Request, found: ModelDescriptor) -> Response:
    run = found.name.rpartition("@")[0]
    versions = {one.step for one in server_of(request).models.list() if one.name.rpartition("@")[0] == run}
    tensor = TensorMetadata("text", "BYTES", [-1])
    return _json(
        ModelMetadata(found.name, [str(step) for step in sorted(versions)], "parable", [tensor], [tensor])
    )


def _ready(request: Request, found: ModelDescriptor) -> Response:
    health = server_of(request).engine.health
    is_ready = found.loaded and health.ready and health.progressing
    # Triton's client looks at the status alone.
    return _json(ModelReady(found.name, is_ready), 200 if is_ready else 503)


def _json(value: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, media_type="application/json")
