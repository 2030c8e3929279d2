"""What every request passes before its route: who calls, from which page, and how large a body."""

import asyncio

from fastapi import HTTPException
from starlette.datastructures import Headers, MutableHeaders
from starlette.routing import Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.model_server.access.scopes import LOCAL, Caller, find_route, needs_of
from services.model_server.api.errors import ApiError, error_response
from services.model_server.server import Server
from services.model_server.telemetry.record import record_of

CALLER = "parable.caller"
"""Where a connection's caller is found."""
MOST_BODIES = 32
"""So many of the largest size are held at once, or many more that are smaller."""
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
_SECURITY_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


class Guard:
    """Denies what no route allows; what passes it carries the headers that keep browsers in bounds."""

    def __init__(self, app: ASGIApp, *, server: Server, router: Router) -> None:
        """Stand before an application whose routes are `router`'s."""
        self._app = app
        self._server = server
        self._router = router
        self._headers = dict(_SECURITY_HEADERS)
        if server.settings.cors_origins:
            self._headers["cross-origin-resource-policy"] = "cross-origin"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer why not."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            self._check(scope)
            body = _LimitedBody(receive, self._server, Headers(scope=scope))
        except ApiError as error:
            await error_response(scope, error)(scope, receive, send_safely)
            return
        try:
            await self._app(scope, body, send_safely)
        finally:
            self._server.body_bytes -= body.num_bytes

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        keys = self._server.keys
        if keys is None:
            _check_origin(scope, headers)
        route = find_route(self._router.routes, scope)
        record = record_of(scope)
        record.route = getattr(route, "path", "none")
        caller = self._caller(headers)
        if caller is not None:
            scope[CALLER] = caller
            record.caller = caller.name
        needs = None if route is None else needs_of(route)
        if needs is not None and needs.is_open:
            return
        if caller is None:
            raise _unauthenticated(headers)
        if route is not None and (needs is None or not needs.met_by(caller)):
            wanted = "one that no key has" if needs is None else " or ".join(sorted(needs.scopes))
            raise ApiError(
                403,
                f"The key {caller.name} does not allow this: it needs the scope {wanted}.",
                code="wrong_scope",
            )
        if self._server.draining and scope["method"] not in ("GET", "HEAD"):
            raise ApiError(
                503,
                "The server is going down; another one answers.",
                code="draining",
                retry_after=1,
                headers={"connection": "close"},
            )

    def _caller(self, headers: Headers) -> Caller | None:
        if self._server.keys is None:
            return LOCAL
        scheme, _, key = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            return None
        return self._server.keys.caller(key.strip())


def caller_of(scope: Scope) -> Caller:
    """Who calls; there is always someone behind a route that is not open."""
    caller = scope[CALLER]
    assert isinstance(caller, Caller)
    return caller


def _unauthenticated(headers: Headers) -> ApiError:
    message = (
        "This key is not known." if "authorization" in headers else "Send a key: authorization: Bearer <key>."
    )
    return ApiError(401, message, code="invalid_api_key", headers={"www-authenticate": "Bearer"})


def _check_origin(scope: Scope, headers: Headers) -> None:
    """Without keys a page of another site, or a name that was made to point here, must get nowhere."""
    host = headers.get("host", "")
    name = host if host.endswith("]") else host.rsplit(":", 1)[0]
    if name.lower() not in _LOOPBACK:
        raise ApiError(
            403, "Without keys the server answers to localhost only, by that name.", code="wrong_host"
        )
    origin = headers.get("origin")
    if origin is not None and origin.lower() != f"{scope['scheme']}://{host}".lower():
        raise ApiError(403, "Without keys the server answers to its own page only.", code="wrong_origin")


class _LimitedBody:
    """A body that may be neither too large nor too slow, nor one too many beside those of other requests."""

    def __init__(self, receive: Receive, server: Server, headers: Headers) -> None:
        self.num_bytes = 0
        self._receive = receive
        self._server = server
        self._limit = server.settings.max_body_bytes
        self._complete = False
        self._end = asyncio.get_running_loop().time() + server.settings.body_seconds
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > self._limit:
            raise ApiError(413, self._too_large, code="body_too_large", headers={"connection": "close"})

    async def __call__(self) -> Message:
        if self._complete:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._end):
                message = await self._receive()
        except TimeoutError as error:
            raise _refuse(408, "The body did not come in time.") from error
        size = len(message.get("body", b""))
        self.num_bytes += size
        self._server.body_bytes += size
        self._complete = not message.get("more_body", False)
        if self.num_bytes > self._limit:
            raise _refuse(413, self._too_large)
        if self._server.body_bytes > MOST_BODIES * self._limit:
            raise _refuse(503, "The server holds as many bodies as it can.", {"retry-after": "1"})
        return message

    @property
    def _too_large(self) -> str:
        return f"The body is larger than {self._limit:,} bytes. Split the request."


def _refuse(status: int, message: str, headers: dict[str, str] | None = None) -> Exception:
    # FastAPI lets only its own kind through while it reads a body.
    return HTTPException(status, message, {"connection": "close", **(headers or {})})
