"""`/admin`: which checkpoint an alias means on every replica, under a scope of its own."""

from dataclasses import dataclass

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from services.model_server.access.scopes import Scope, needs
from services.model_server.api.schemas.common import ModelName, Strict
from services.model_server.api.schemas.errors import declared
from services.model_server.models.base import Rollout
from services.model_server.server import server_of

router = APIRouter(prefix="/admin", tags=["Administration"])


class ReloadRequest(Strict):
    """Where an alias is to go."""

    target: ModelName | None = None
    """A checkpoint, where it stays; null: the newest, from now on."""


@dataclass(frozen=True, slots=True)
class Rollouts:
    """Every alias that has been used or moved."""

    data: list[Rollout]


@router.get("/rollouts", responses={200: {"model": Rollouts}, **declared()}, response_class=Response)
@needs(Scope.ADMIN)
async def list_rollouts(request: Request) -> Response:
    """What each alias means here, and what it ought to mean."""
    answer = Rollouts(list(server_of(request).models.desired()))
    return Response(orjson.dumps(answer), media_type="application/json")


@router.post(
    "/rollouts/{alias}/reload", responses={200: {"model": Rollout}, **declared()}, response_class=Response
)
@needs(Scope.ADMIN)
async def reload(request: Request, alias: str, body: ReloadRequest) -> Response:
    """Move an alias on every replica, to a checkpoint or to the newest."""
    answer = await server_of(request).models.reload(alias, body.target)
    return Response(orjson.dumps(answer), media_type="application/json")


@router.post(
    "/rollouts/{alias}/rollback", responses={200: {"model": Rollout}, **declared()}, response_class=Response
)
@needs(Scope.ADMIN)
async def rollback(request: Request, alias: str) -> Response:
    """Move an alias back to the checkpoint before, and keep it there."""
    answer = await server_of(request).models.rollback(alias)
    return Response(orjson.dumps(answer), media_type="application/json")
