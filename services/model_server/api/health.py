"""`/health/live` and `/health/ready`: two questions with two answers."""

from dataclasses import dataclass

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from services.model_server.access.scopes import open_to_all
from services.model_server.api.schemas.errors import declared
from services.model_server.server import server_of

router = APIRouter(tags=["Health"])


@dataclass(frozen=True, slots=True)
class Health:
    """How the server is; `reason` says why it is not ready."""

    status: str
    reason: str | None


@router.get("/health/live", responses={200: {"model": Health}, **declared()}, response_class=Response)
@open_to_all
async def live(request: Request) -> Response:
    """It answers, so it lives; restart what does not."""
    del request
    return Response(orjson.dumps(Health("alive", None)), media_type="application/json")


@router.get(
    "/health/ready",
    responses={**declared(), 200: {"model": Health}, 503: {"model": Health}},
    response_class=Response,
)
@open_to_all
async def ready(request: Request) -> Response:
    """Whether requests should be sent here: the engine makes progress, the default model is loaded."""
    reason = server_of(request).not_ready()
    answer = Health("ready" if reason is None else "not ready", reason)
    return Response(orjson.dumps(answer), 200 if reason is None else 503, media_type="application/json")
