"""Every failure in the shape that clients know: OpenAI's, and KServe's under /v2."""

import math
from collections.abc import Sequence
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Scope

from services.model_server.access.scopes import find_route
from services.model_server.api.schemas.common import UNSUPPORTED
from services.model_server.api.schemas.errors import ErrorAnswer, ErrorDetail, KServeError
from services.model_server.engine.base import (
    DeadlineExceededError,
    EngineError,
    EngineRestartedError,
    RequestRefusedError,
)
from services.model_server.models.base import ModelError, UnknownModelError
from services.model_server.telemetry.record import record_of

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    408: "invalid_request_error",
    409: "conflict_error",
    413: "invalid_request_error",
    415: "invalid_request_error",
    429: "rate_limit_error",
    503: "service_unavailable_error",
}


_NO_OBJECT = ("missing", "model_attributes_type", "model_type", "dict_type")
_LONGEST_NAME = 64


class ApiError(Exception):
    """An answer other than success."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after: float | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        """Say what went wrong, and by which field."""
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.code = code
        self.headers = dict(headers or {})
        if retry_after is not None:
            self.headers["retry-after"] = str(max(1, math.ceil(retry_after)))

    @property
    def detail(self) -> ErrorDetail:
        """As OpenAI's clients read it."""
        kind = _TYPES.get(self.status, "server_error")
        # A client's own text may hold half of a surrogate pair, which no JSON can.
        message = self.message.encode("utf-8", "replace").decode()
        param = None if self.param is None else self.param.encode("utf-8", "replace").decode()
        return ErrorDetail(message, kind, param, self.code)


class ClientGoneError(Exception):
    """The client hung up: nobody reads an answer."""


def invalid(message: str, param: str | None = None, code: str | None = None) -> ApiError:
    """The request is wrong."""
    return ApiError(400, message, param=param, code=code)


def as_api_error(error: Exception) -> ApiError:
    """What a client is told of a failure."""
    match error:
        case ApiError():
            return error
        case RequestRefusedError():
            return invalid(str(error))
        case EngineRestartedError():
            return ApiError(503, str(error), code="engine_restarted", retry_after=1)
        case DeadlineExceededError():
            return ApiError(503, str(error), code="deadline_exceeded", retry_after=5)
        case EngineError():
            return ApiError(500, str(error), code="engine_error")
        case UnknownModelError():
            return ApiError(404, str(error), param="model", code="model_not_found")
        case ModelError():
            return ApiError(503, str(error), param="model", code="model_unavailable", retry_after=5)
        case _:
            return ApiError(500, "The server failed at this; its log says why.", code="internal_error")


def error_response(scope: Scope, error: ApiError) -> Response:
    """The answer that tells of an error."""
    body: ErrorAnswer | KServeError = ErrorAnswer(error.detail)
    if is_kserve(scope["path"]):
        body = KServeError(error.detail.message)
    record_of(scope).error = error.code or str(error.status)
    return Response(orjson.dumps(body), error.status, error.headers, media_type="application/json")


def is_kserve(path: str) -> bool:
    """Whether errors have KServe's shape here."""
    return path == "/v2" or path.startswith("/v2/")


def add_error_handlers(app: FastAPI) -> None:
    """Answer every failure of an application."""

    async def failed(request: Request, error: Exception) -> Response:
        return error_response(request.scope, as_api_error(error))

    async def broke(request: Request, error: Exception) -> Response:
        # This one is sent from outside the middleware that sets headers.
        response = error_response(request.scope, as_api_error(error))
        response.headers.update(record_of(request.scope).headers())
        # uvicorn closes it after a fault that nobody caught.
        response.headers["connection"] = "close"
        return response

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return error_response(request.scope, _from_validation(error))

    async def plain(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return error_response(request.scope, _from_http(error, request))

    async def gone(request: Request, error: Exception) -> Response:
        del error
        record_of(request.scope).error = "client_gone"
        return Response(status_code=499)

    for kind in (ApiError, EngineError, ModelError):
        app.add_exception_handler(kind, failed)
    app.add_exception_handler(RequestValidationError, refused)
    app.add_exception_handler(HTTPException, plain)
    app.add_exception_handler(ClientGoneError, gone)
    app.add_exception_handler(Exception, broke)


def _from_validation(error: RequestValidationError) -> ApiError:
    """The first thing that is wrong, by name; a field that is not supported may be why something else is.

    No value that was sent is ever repeated.
    """
    errors: Sequence[dict[str, Any]] = error.errors()
    unsupported = next((one for one in errors if one["type"] in ("extra_forbidden", UNSUPPORTED)), None)
    if unsupported is not None:
        *path, field = unsupported["loc"][1:]
        param = ".".join([*_names(path), str(field)[:_LONGEST_NAME]])
        return invalid(f"Unsupported field {param}.", param, "unsupported_field")
    first = errors[0]
    if first["type"] == "json_invalid":
        return invalid("The body is not valid JSON.", code="invalid_json")
    where, *path = first["loc"]
    named = ".".join(_names(path)) or None
    if where == "body" and first["type"] in _NO_OBJECT and named is None:
        return invalid("The body must be a JSON object, sent with content-type: application/json.")
    message = first["msg"].removeprefix("Value error, ")
    return invalid(f"{named or where}: {message[:1].lower()}{message[1:]}.", named, "invalid_value")


def _names(path: Sequence[int | str]) -> list[str]:
    """Without what only says which of several types was tried."""
    return [str(part) for part in path if isinstance(part, int) or part.isidentifier()]


def _from_http(error: HTTPException, request: Request) -> ApiError:
    headers = dict(error.headers or {})
    match error.status_code:
        case 404:
            return ApiError(404, f"There is nothing at {request.url.path}.", code="not_found")
        case 405:
            return ApiError(
                405,
                f"{request.url.path} does not answer to {request.method}.",
                code="wrong_method",
                headers={"allow": ", ".join(sorted(_methods(request)))},
            )
        case 400:
            return invalid("The body could not be read as JSON.", code="invalid_json")
        case status:
            code = {413: "body_too_large", 503: "overloaded"}.get(status)
            return ApiError(status, str(error.detail), code=code, headers=headers)


def _methods(request: Request) -> set[str]:
    """What a path answers to; each method may be a route of its own."""
    routes = request.app.router.routes
    path = getattr(find_route(routes, request.scope), "path", None)
    return {
        method
        for route in routes
        if getattr(route, "path", "") == path
        for method in getattr(route, "methods", ())
    }
