"""`/v1/models`: every sealed checkpoint of the store."""

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from services.model_server.access.scopes import Scope, needs
from services.model_server.api.schemas.errors import declared
from services.model_server.api.schemas.models import ModelCard, ModelList
from services.model_server.models.base import ModelDescriptor
from services.model_server.server import server_of
from services.model_server.telemetry.record import record_of

router = APIRouter(tags=["OpenAI"])


@router.get("/v1/models", responses={200: {"model": ModelList}, **declared()}, response_class=Response)
@needs(Scope.INFER, Scope.EVALUATE, Scope.ADMIN)
async def list_models(request: Request) -> Response:
    """Every checkpoint, the default first, whether it is loaded or not."""
    models = server_of(request).models
    default = _default(models.default, models.list())
    answer = ModelList("list", [_card(one, default) for one in models.list()])
    return Response(orjson.dumps(answer), media_type="application/json")


@router.get("/v1/models/{name}", responses={200: {"model": ModelCard}, **declared()}, response_class=Response)
@needs(Scope.INFER, Scope.EVALUATE, Scope.ADMIN)
async def describe_model(request: Request, name: str) -> Response:
    """One checkpoint, by its name or an alias."""
    models = server_of(request).models
    found = models.describe(name)
    record_of(request.scope).weights = found.digest
    answer = _card(found, _default(models.default, models.list()))
    return Response(orjson.dumps(answer), media_type="application/json")


def _default(name: str | None, descriptors: tuple[ModelDescriptor, ...]) -> str | None:
    """The default's own name, whatever alias it goes by."""
    return next((one.name for one in descriptors if name == one.name or name in one.aliases), None)


def _card(found: ModelDescriptor, default: str | None) -> ModelCard:
    return ModelCard(
        id=found.name,
        object="model",
        created=found.created,
        owned_by="parable",
        digest=found.digest,
        max_model_len=found.max_length,
        step=found.step,
        recipe=found.recipe,
        arm=found.arm,
        seed=found.seed,
        aliases=list(found.aliases),
        artifact=found.artifact,
        parents=dict(found.parents),
        loaded=found.loaded,
        default=found.name == default,
    )
