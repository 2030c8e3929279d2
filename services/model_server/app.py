"""The application: routes, and what stands before them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from parable.store import ObjectStore
from services.model_server.access.guard import Guard
from services.model_server.access.keys import KeyRing
from services.model_server.access.scopes import needs_of
from services.model_server.admission import Admission
from services.model_server.api import (
    admin,
    chat,
    completions,
    docs,
    evaluations,
    health,
    kserve,
    models,
    page,
    tokenization,
)
from services.model_server.api.errors import add_error_handlers
from services.model_server.engine.base import Engine, RequestClass
from services.model_server.jobs.service import JobService
from services.model_server.models.base import Models
from services.model_server.server import Server
from services.model_server.settings import ServerSettings
from services.model_server.telemetry.metrics import Metrics
from services.model_server.telemetry.middleware import Telemetry
from services.model_server.telemetry.tracing import Tracing

ROUTERS: tuple[APIRouter, ...] = (
    models.router,
    completions.router,
    chat.router,
    tokenization.router,
    kserve.router,
    evaluations.router,
    health.router,
    admin.router,
    docs.router,
    page.router,
)


def create_app(
    settings: ServerSettings,
    *,
    engine: Engine,
    models: Models,
    store: ObjectStore | None = None,
) -> FastAPI:
    """An application over an engine and models, which it starts and stops.

    Args:
        settings: what it is told.
        engine: answers in token ids.
        models: names, and the weights that they mean.
        store: where evaluations rest; without one there are none.

    Raises:
        UserError: the server would be open to a network without keys, or its keys file is wrong.
    """
    settings.check()
    server = Server(
        settings=settings,
        engine=engine,
        models=models,
        keys=None if settings.keys_file is None else KeyRing(settings.keys_file),
        admission=Admission(settings),
        metrics=Metrics(),
        tracing=Tracing.to(settings.otlp_endpoint),
        jobs=None if store is None else JobService(store, models, engine, settings.jobs),
    )
    app = _Application(
        title="Parable model server",
        version=version("parable"),
        description="Sealed checkpoints behind OpenAI's and KServe's interfaces.",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
    )
    app.user_middleware = [
        Middleware(Telemetry, server=server),
        *_cors(settings),
        Middleware(Guard, server=server, router=app.router),
    ]
    app.state.server = server
    for router in ROUTERS:
        app.router.routes.extend(router.routes)
    add_error_handlers(app)
    server.metrics.watch(lambda: engine.health, lambda: _gauges(server))
    return app


class _Application(FastAPI):
    """Describes itself with what its routes ask of a caller."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            found = get_openapi(
                title=self.title, version=self.version, description=self.description, routes=self.routes
            )
            server: Server = self.state.server
            for path in found["paths"].values():
                for operation in path.values():
                    # FastAPI's own shape of refusals, which no answer here has.
                    operation["responses"].pop("422", None)
            schemas = found["components"]["schemas"]
            for name in ("HTTPValidationError", "ValidationError"):
                schemas.pop(name, None)
            if server.keys is not None:
                _declare_keys(found, self)
            self.openapi_schema = found
        return self.openapi_schema


def _declare_keys(found: dict[str, Any], app: FastAPI) -> None:
    found["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    for route in app.router.routes:
        needs = needs_of(route)
        if needs is None or needs.is_open:
            continue
        for method in getattr(route, "methods", ()):
            operation = found["paths"].get(getattr(route, "path", ""), {}).get(method.lower())
            if operation is not None:
                operation["security"] = [{"key": []}]


def _cors(settings: ServerSettings) -> list[Middleware]:
    if not settings.cors_origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors_origins),
            allow_methods=["GET", "POST"],
            allow_headers=["authorization", "content-type", "idempotency-key", "x-request-id"],
            expose_headers=["x-request-id", "x-parable-weights", "retry-after"],
        )
    ]


def _gauges(server: Server) -> dict[str, dict[str, float]]:
    admission = server.admission
    return {
        "num_requests_running": {kind: admission.num_running(kind) for kind in RequestClass},
        "num_requests_waiting": {kind: admission.num_waiting(kind) for kind in RequestClass},
    }


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    server: Server = app.state.server
    await server.engine.start()
    try:
        await server.models.start()
        try:
            if server.jobs is not None:
                server.jobs.start()
            yield
        finally:
            server.drain()
            if server.jobs is not None:
                await server.jobs.stop()
            await server.models.stop()
    finally:
        await server.engine.stop()
        if server.tracing is not None:
            server.tracing.close()
